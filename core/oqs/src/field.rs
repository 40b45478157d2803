//! How the lines of the table in `message` become reading and writing code.

use tazune_model::{Date, InstitutionCode, ProcessingStatus, Validity};

use crate::{
    Element, ParseError, Text,
    message::Segment,
    tree::Content::{self, Elements},
};

/// A patient's consent to have one kind of information read or disclosed (閲覧同意, 提供同意), three elements of one prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewingConsent {
    /// `…ConsFlg`, 同意区分, OQSCD016 (0 none, 1 given, 2 expired, 3 could not be obtained); 限度額: OQSCD001 (0, 1).
    pub flag: Option<Text>,
    /// `…ConsTime`, 同意日時, 14 digits.
    pub given_at: Option<Text>,
    /// `…AvailableTime`, 閲覧有効期限, 14 digits; 限度額 and 特定疾病 have none.
    pub available_until: Option<Text>,
}

/// Elements of one parent, as one field of a record.
pub(crate) trait Field: Sized {
    /// Takes the field's elements out of the parent's.
    fn take(tag: &'static str, from: &mut Vec<Element>) -> Result<Self, ParseError>;

    /// Adds the field's elements to the parent's.
    fn put(&self, tag: &'static str, into: &mut Vec<Element>);
}

/// What one element holds.
pub(crate) trait Value: Sized {
    /// Reads the content; `None` when it is empty, which means an absent value.
    fn from_content(tag: &'static str, content: Content) -> Result<Option<Self>, ParseError>;

    /// The content; without elements when there is nothing to say.
    fn to_content(&self) -> Content;
}

/// A struct of fields, as the `records!` table makes it.
pub(crate) trait Record: Sized {
    /// Reads the elements of one parent; what no line of the table names is kept.
    fn from_elements(elements: Vec<Element>) -> Result<Self, ParseError>;

    /// The elements of one parent, in the order of the table.
    fn to_elements(&self) -> Vec<Element>;
}

/// Makes records from a table of `field: type = "Tag"`, in the order of the annex.
///
/// - `"Tag" | "Other"` also reads `Other` where `Tag` is missing or empty; `Tag` is written.
/// - `"Wrapper/Tag"` is a list within a wrapper element; reading also takes items that lie bare beside it.
/// - `always` writes an empty element for a missing value.
macro_rules! records {
    ($(
        $(#[$doc:meta])*
        pub struct $name:ident {
            $($(#[$field_doc:meta])* $field:ident: $type:ty = $tag:literal $(| $other_tag:literal)? $($always:ident)?,)*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
            /// Elements that are not named here, kept to be written again.
            pub other: Vec<$crate::Element>,
        }

        impl $crate::field::Record for $name {
            fn from_elements(mut elements: Vec<$crate::Element>) -> Result<Self, $crate::ParseError> {
                Ok(Self {
                    $($field: {
                        $($crate::field::adopt($other_tag, $tag, &mut elements);)?
                        $crate::field::Field::take($tag, &mut elements)?
                    },)*
                    other: elements,
                })
            }

            fn to_elements(&self) -> Vec<$crate::Element> {
                let mut elements = Vec::new();
                $(
                    $crate::field::Field::put(&self.$field, $tag, &mut elements);
                    $($crate::field::$always($tag, &mut elements);)?
                )*
                elements.extend_from_slice(&self.other);
                elements
            }
        }

        #[cfg(test)]
        impl $crate::field::samples::Sample for $name {
            fn sample(source: &mut $crate::field::samples::Source) -> Self {
                Self {
                    $($field: $crate::field::samples::Sample::sample(source),)*
                    other: $crate::field::samples::Sample::sample(source),
                }
            }
        }
    )*};
}
pub(crate) use records;

/// Renames `tag` to `adopted` where no `adopted` with content exists.
pub(crate) fn adopt(tag: &str, adopted: &str, elements: &mut Vec<Element>) {
    if elements.iter().any(|element| element.tag == adopted && !element.is_empty()) {
        return;
    }
    elements.retain(|element| element.tag != adopted);
    elements.iter_mut().filter(|element| element.tag == tag).for_each(|element| element.tag = adopted.into());
}

/// Adds an empty element unless one of this tag was added last.
pub(crate) fn always(tag: &str, elements: &mut Vec<Element>) {
    if elements.last().is_none_or(|element| element.tag != tag) {
        elements.push(Element::new(tag, Elements(Vec::new())));
    }
}

fn extract(tag: &str, from: &mut Vec<Element>) -> Vec<Element> {
    from.extract_if(.., |element| element.tag == tag).collect()
}

impl<V: Value> Field for Option<V> {
    fn take(tag: &'static str, from: &mut Vec<Element>) -> Result<Self, ParseError> {
        let mut found = extract(tag, from).into_iter();
        let Some(element) = found.next() else { return Ok(None) };
        if found.next().is_some() {
            return Err(ParseError::Repeated { element: tag });
        }
        V::from_content(tag, element.content)
    }

    fn put(&self, tag: &'static str, into: &mut Vec<Element>) {
        let Some(value) = self else { return };
        let element = Element::new(tag, value.to_content());
        if !element.is_empty() {
            into.push(element);
        }
    }
}

/// A value the message cannot be without.
impl<V: Value> Field for V {
    fn take(tag: &'static str, from: &mut Vec<Element>) -> Result<Self, ParseError> {
        <Option<V> as Field>::take(tag, from)?.ok_or(ParseError::Missing { element: tag })
    }

    fn put(&self, tag: &'static str, into: &mut Vec<Element>) {
        into.push(Element::new(tag, self.to_content()));
    }
}

impl<V: Value> Field for Vec<V> {
    fn take(tag: &'static str, from: &mut Vec<Element>) -> Result<Self, ParseError> {
        let (wrapper, item) = tag.split_once('/').map_or((None, tag), |(wrapper, item)| (Some(wrapper), item));
        let mut found = extract(item, from);
        for mut element in wrapper.map(|wrapper| extract(wrapper, from)).unwrap_or_default() {
            let Elements(inside) = &mut element.content else { return Err(ParseError::Value { element: item }) };
            found.append(&mut extract(item, inside));
            // Strangers among the items stay in their wrapper, and it stays for their sake.
            if !element.is_empty() {
                from.push(element);
            }
        }
        found.into_iter().filter_map(|element| V::from_content(item, element.content).transpose()).collect()
    }

    fn put(&self, tag: &'static str, into: &mut Vec<Element>) {
        let item = tag.split_once('/').map_or(tag, |(_, item)| item);
        let mut items: Vec<_> = self.iter().map(|value| Element::new(item, value.to_content())).collect();
        items.retain(|element| !element.is_empty());
        match tag.split_once('/') {
            Some((wrapper, _)) if !items.is_empty() => into.push(Element::new(wrapper, Elements(items))),
            _ => into.append(&mut items),
        }
    }
}

impl Field for ViewingConsent {
    fn take(prefix: &'static str, from: &mut Vec<Element>) -> Result<Self, ParseError> {
        let mut text = |suffix: &str| {
            let mut found = extract(&format!("{prefix}{suffix}"), from).into_iter();
            match (found.next(), found.next()) {
                (None, _) => Ok(None),
                (Some(element), None) => Text::from_content(prefix, element.content),
                _ => Err(ParseError::Repeated { element: prefix }),
            }
        };
        Ok(Self { flag: text("ConsFlg")?, given_at: text("ConsTime")?, available_until: text("AvailableTime")? })
    }

    fn put(&self, prefix: &'static str, into: &mut Vec<Element>) {
        let Self { flag, given_at, available_until } = self;
        for (suffix, text) in [("ConsFlg", flag), ("ConsTime", given_at), ("AvailableTime", available_until)] {
            let Some(text) = text else { continue };
            into.push(Element::new(&format!("{prefix}{suffix}"), Content::Text(text.clone())));
        }
    }
}

impl<R: Record + Default + PartialEq> Value for R {
    fn from_content(tag: &'static str, content: Content) -> Result<Option<Self>, ParseError> {
        let Elements(elements) = content else { return Err(ParseError::Value { element: tag }) };
        let record = Self::from_elements(elements)?;
        Ok((record != Self::default()).then_some(record))
    }

    fn to_content(&self) -> Content {
        Elements(if *self == Self::default() { Vec::new() } else { self.to_elements() })
    }
}

impl Value for Text {
    fn from_content(tag: &'static str, content: Content) -> Result<Option<Self>, ParseError> {
        match content {
            Content::Text(text) => Ok(Some(text)),
            Elements(elements) if elements.is_empty() => Ok(None),
            Elements(_) => Err(ParseError::Value { element: tag }),
        }
    }

    fn to_content(&self) -> Content {
        Content::Text(self.clone())
    }
}

/// A checked type: `read` is the inverse of `write`.
macro_rules! checked_value {
    ($type:ty, $read:expr, $write:expr) => {
        impl Value for $type {
            fn from_content(tag: &'static str, content: Content) -> Result<Option<Self>, ParseError> {
                let Some(text) = Text::from_content(tag, content)? else { return Ok(None) };
                let read: fn(&str) -> Option<$type> = $read;
                read(text.as_str()).map(Some).ok_or(ParseError::Value { element: tag })
            }

            fn to_content(&self) -> Content {
                let write: fn(&$type) -> Text = $write;
                Content::Text(write(self))
            }
        }
    };
}

checked_value!(Date, read_date, |date| (*date).into());
checked_value!(InstitutionCode, |text| InstitutionCode::new(text).ok(), |code| {
    Text::new(code.as_str()).expect("ten digits are no blank text")
});

/// A code table: one text per variant.
macro_rules! code_value {
    ($($type:ty { $($code:literal = $variant:ident,)* })*) => {$(
        checked_value!(
            $type,
            |text| match text {
                $($code => Some(<$type>::$variant),)*
                _ => None,
            },
            |value| Text::new(match value { $(<$type>::$variant => $code,)* }).expect("a code is no blank text")
        );

        #[cfg(test)]
        impl samples::Sample for $type {
            fn sample(source: &mut samples::Source) -> Self {
                source.choice(&[$(<$type>::$variant,)*])
            }
        }
    )*};
}

code_value! {
    // OQSCD003
    Segment { "1" = Normal, "2" = InProgress, "9" = Failed, }
    // OQSCD004
    ProcessingStatus { "1" = Normal, "2" = Error, }
    // OQSCD006
    Validity {
        "1" = Valid, "2" = Invalid, "3" = InvalidNewerExists, "4" = None, "5" = Several, "6" = ValidUnregistered,
    }
}

/// A calendar date written `yyyyMMdd`.
pub(crate) fn read_date(text: &str) -> Option<Date> {
    if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: i32 = text.parse().ok()?;
    let part = |number: i32| i8::try_from(number % 100).ok();
    Date::new(i16::try_from(number / 10_000).ok()?, part(number / 100)?, part(number)?).ok()
}

/// Well-formed messages made from bytes, for property tests: shrinking the bytes shrinks the message.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    pub(crate) struct Source {
        pub(crate) bytes: std::vec::IntoIter<u8>,
        pub(crate) texts: Vec<Text>,
        pub(crate) has_strangers: bool,
    }

    impl Source {
        /// The next byte below `limit`; zero, which stands for absence, once the bytes are used up.
        pub(crate) fn below(&mut self, limit: usize) -> usize {
            usize::from(self.bytes.next().unwrap_or(0)) % limit
        }

        pub(crate) fn choice<T: Clone>(&mut self, from: &[T]) -> T {
            from[self.below(from.len())].clone()
        }
    }

    pub(crate) trait Sample: Sized {
        fn sample(source: &mut Source) -> Self;
    }

    impl Sample for Text {
        fn sample(source: &mut Source) -> Self {
            let texts = source.texts.clone();
            source.choice(&texts)
        }
    }

    impl Sample for Date {
        fn sample(source: &mut Source) -> Self {
            Date::new(2026, source.below(12) as i8 + 1, source.below(28) as i8 + 1).unwrap()
        }
    }

    impl Sample for InstitutionCode {
        fn sample(source: &mut Source) -> Self {
            InstitutionCode::new(format!("{:010}", source.below(100))).unwrap()
        }
    }

    impl Sample for Element {
        fn sample(source: &mut Source) -> Self {
            let content = match source.below(3) {
                0 => Elements(Vec::new()),
                1 => Content::Text(Sample::sample(source)),
                _ => Elements(vec![Element::new("Inner", Content::Text(Sample::sample(source)))]),
            };
            Element::new(["NewElement", "Another", "_x-1.2"][source.below(3)], content)
        }
    }

    impl Sample for ViewingConsent {
        fn sample(source: &mut Source) -> Self {
            Self {
                flag: Sample::sample(source),
                given_at: Sample::sample(source),
                available_until: Sample::sample(source),
            }
        }
    }

    impl<V: Sample + Value> Sample for Option<V> {
        fn sample(source: &mut Source) -> Self {
            // A record without content is the same as none.
            (source.below(2) == 1)
                .then(|| V::sample(source))
                .filter(|value| !Element::new("x", value.to_content()).is_empty())
        }
    }

    impl<V: Sample + Value> Sample for Vec<V> {
        fn sample(source: &mut Source) -> Self {
            (0..source.below(4)).filter_map(|_| Option::sample(source)).collect()
        }
    }

    impl Sample for Vec<Element> {
        fn sample(source: &mut Source) -> Self {
            let count = if source.has_strangers { source.below(3) } else { 0 };
            (0..count).map(|_| Sample::sample(source)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tazune_model::Date;

    #[test]
    fn reads_calendar_dates_only() {
        assert_eq!(read_date("19410505"), Date::new(1941, 5, 5).ok());
        assert_eq!(read_date("20240229"), Date::new(2024, 2, 29).ok());
        for wrong in
            ["", "1941055", "194105055", "19410500", "20230229", "99999999", "1941-5-5", "+9410505", "１９４１０５０５"]
        {
            assert_eq!(read_date(wrong), None, "{wrong}");
        }
    }
}
