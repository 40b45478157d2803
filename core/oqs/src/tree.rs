use std::fmt;

use quick_xml::{
    Reader, Writer,
    escape::resolve_xml_entity,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event},
};

use crate::{ParseError, Text, text::is_blank};

/// An element of a message with all that is in it: kept, where this program does not know it, to be written again.
///
/// Attributes are not kept: no message of the national system has any. `Debug` shows neither tag nor content.
#[derive(Clone, PartialEq, Eq)]
pub struct Element {
    pub(crate) tag: String,
    pub(crate) content: Content,
}

/// What an element holds: one text, or elements; a blank element holds no elements.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Text(Text),
    Elements(Vec<Element>),
}

impl Element {
    pub(crate) fn new(tag: &str, content: Content) -> Self {
        Self { tag: tag.into(), content }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.content, Content::Elements(elements) if elements.is_empty())
    }
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[element]")
    }
}

/// Far above any message about one person, of some ten thousand bytes.
const MAX_BYTES: usize = 1 << 20;

/// Twice the depth of the deepest element of the annex.
const MAX_DEPTH: usize = 14;

/// Reads a document into its root element.
///
/// Text is exact but for XML's own line end rule; comments and processing instructions are passed over.
pub(crate) fn read(document: &[u8]) -> Result<Element, ParseError> {
    if document.len() > MAX_BYTES {
        return Err(ParseError::TooLarge);
    }
    let document = str::from_utf8(document).map_err(|_| ParseError::Encoding)?;
    let mut reader = Reader::from_str(document);
    reader.config_mut().expand_empty_elements = true;
    let mut builder = Builder::default();
    let mut is_first = true;
    loop {
        // The reader's own errors may quote the document, so they end here.
        match reader.read_event().map_err(|_| ParseError::Malformed)? {
            Event::Decl(declaration) if is_first => check_encoding(&declaration)?,
            Event::Start(start) => builder.open(start.name().as_ref())?,
            Event::End(_) => builder.close()?,
            Event::Text(text) => builder.append(&text.xml10_content())?,
            Event::CData(text) => builder.append(&text.xml10_content())?,
            Event::GeneralRef(reference) => match reference.resolve_char_ref().map_err(|_| ParseError::Malformed)? {
                Some(character) => builder.append(character.encode_utf8(&mut [0; 4]))?,
                None => builder.append(resolve_xml_entity(&reference).ok_or(ParseError::Entity)?)?,
            },
            Event::Comment(_) | Event::PI(_) => {}
            Event::DocType(_) => return Err(ParseError::Entity),
            Event::Decl(_) | Event::Empty(_) => return Err(ParseError::Malformed),
            Event::Eof => return builder.finish(),
        }
        is_first = false;
    }
}

/// Writes a document: UTF-8, a declaration with `standalone="no"`, four spaces per level, a line feed after each line.
///
/// Only elements that hold elements get line breaks inside, so no value gains a character.
pub(crate) fn write(root: &Element) -> Vec<u8> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 4);
    write_event(&mut writer, Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), Some("no"))));
    write_element(&mut writer, root);
    let mut document = writer.into_inner();
    document.push(b'\n');
    document
}

fn write_element(writer: &mut Writer<Vec<u8>>, element: &Element) {
    if element.is_empty() {
        return write_event(writer, Event::Empty(BytesStart::new(&element.tag)));
    }
    write_event(writer, Event::Start(BytesStart::new(&element.tag)));
    match &element.content {
        Content::Text(text) => write_event(writer, Event::Text(BytesText::new(text.as_str()))),
        Content::Elements(elements) => elements.iter().for_each(|element| write_element(writer, element)),
    }
    write_event(writer, Event::End(BytesEnd::new(&element.tag)));
}

fn write_event(writer: &mut Writer<Vec<u8>>, event: Event<'_>) {
    writer.write_event(event).expect("writing into memory cannot fail");
}

fn check_encoding(declaration: &BytesDecl<'_>) -> Result<(), ParseError> {
    let Some(encoding) = declaration.encoding() else { return Ok(()) };
    let encoding = encoding.map_err(|_| ParseError::Malformed)?;
    if encoding.eq_ignore_ascii_case("utf-8") { Ok(()) } else { Err(ParseError::Encoding) }
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Element>,
}

struct Open {
    tag: String,
    text: String,
    elements: Vec<Element>,
}

impl Builder {
    fn open(&mut self, tag: &str) -> Result<(), ParseError> {
        if self.open.len() == MAX_DEPTH {
            return Err(ParseError::TooDeep);
        }
        if self.root.is_some() || !is_tag(tag) {
            return Err(ParseError::Malformed);
        }
        self.open.push(Open { tag: tag.into(), text: String::new(), elements: Vec::new() });
        Ok(())
    }

    fn append(&mut self, text: &str) -> Result<(), ParseError> {
        match self.open.last_mut() {
            Some(open) => open.text.push_str(text),
            None if is_blank(text) => {}
            None => return Err(ParseError::Malformed),
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), ParseError> {
        let Open { tag, text, elements } = self.open.pop().ok_or(ParseError::Malformed)?;
        let content = match (is_blank(&text), elements.is_empty()) {
            (true, _) => Content::Elements(elements),
            (false, true) => Content::Text(Text::new(text).map_err(|_| ParseError::Malformed)?),
            (false, false) => return Err(ParseError::Malformed),
        };
        let element = Element { tag, content };
        match self.open.last_mut() {
            Some(parent) => parent.elements.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn finish(self) -> Result<Element, ParseError> {
        if self.open.is_empty() { self.root.ok_or(ParseError::Malformed) } else { Err(ParseError::Malformed) }
    }
}

/// Tags are ASCII words in every known message; a name space prefix could not be written again and is refused.
fn is_tag(tag: &str) -> bool {
    tag.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaf(document: &str) -> String {
        match read(document.as_bytes()).unwrap().content {
            Content::Text(text) => text.as_str().into(),
            Content::Elements(_) => panic!("no leaf"),
        }
    }

    #[test]
    fn keeps_text_exact() {
        for (document, text) in [
            ("<a>  138057</a>", "  138057"),
            ("\u{feff}<?xml version='1.0' encoding='utf-8'?>\n<a>●　x </a>\n", "●　x "),
            ("<a> <!-- - --><![CDATA[<b> ]]>&amp;&#x9ad9;&#13;\r\n</a>", " <b> &髙\r\n"),
            ("<a x='1'>y</a>", "y"),
        ] {
            assert_eq!(leaf(document), text);
        }
        for document in ["<a/>", "<a></a>", "<a> \n</a>", "<a>&#32;</a>"] {
            assert!(read(document.as_bytes()).unwrap().is_empty(), "{document}");
        }
    }

    #[test]
    fn refuses_what_no_message_has() {
        use ParseError::*;
        let laughs = "<!DOCTYPE a [<!ENTITY b 'ha'><!ENTITY c '&b;&b;&b;'>]><a>&c;</a>";
        let deep = |depth: usize| "<a>".repeat(depth) + &"</a>".repeat(depth);
        let table: &[(&str, ParseError)] = &[
            (laughs, Entity),
            ("<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", Entity),
            ("<a>&b;</a>", Entity),
            (&deep(MAX_DEPTH + 1), TooDeep),
            (&deep(10_000), TooDeep),
            ("<?xml version='1.0' encoding='Shift_JIS'?><a/>", Encoding),
            ("<?xml version='1.0' encoding='UTF-16'?><a/>", Encoding),
            ("", Malformed),
            ("x", Malformed),
            ("<a>", Malformed),
            ("<a></b>", Malformed),
            ("</a>", Malformed),
            ("<a/><a/>", Malformed),
            ("<a/>x", Malformed),
            ("&amp;<a/>", Malformed),
            ("<a>x<b/></a>", Malformed),
            ("<a>&#0;</a>", Malformed),
            ("<a>&#1;</a>", Malformed),
            ("<a>\u{1}</a>", Malformed),
            ("<a>&#xD800;</a>", Malformed),
            ("<a>x & y</a>", Malformed),
            ("<n:a/>", Malformed),
            ("<a'b/>", Malformed),
            ("<あ/>", Malformed),
            ("<a/><?xml version='1.0'?>", Malformed),
        ];
        for (document, error) in table {
            assert_eq!(read(document.as_bytes()).unwrap_err(), *error, "{document:.60}");
        }
        assert!(read(deep(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(read(b"<a>\x8c\xa9</a>").unwrap_err(), Encoding);
        assert_eq!(read(b"\xff\xfe<\0a\0/\0>\0").unwrap_err(), Encoding);
        assert_eq!(read(&[b' '; MAX_BYTES + 1]).unwrap_err(), TooLarge);
        assert_eq!(read(&[b'<'; MAX_BYTES]).unwrap_err(), Malformed);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), xml in "[<>/a&;#x!\\[\\]?'\" =-]{0,80}") {
            let _ = read(&bytes);
            let _ = read(xml.as_bytes());
        }

        #[test]
        fn any_text_survives_writing_and_reading(text in "\\PC{1,20}|[ \\t\\r\\n<>&'\"\\]x]{1,20}") {
            let Ok(text) = Text::new(text) else { return Ok(()) };
            let element = Element::new("a", Content::Elements(vec![Element::new("b", Content::Text(text))]));
            prop_assert_eq!(read(&write(&element)), Ok(element));
        }
    }
}
