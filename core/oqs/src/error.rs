/// Why bytes are not a readable message 002; names elements of the annex, never a text of the document.
///
/// A person who could not be processed and a query that failed are readable messages and no such error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Larger than 1 MiB.
    #[error("the message is larger than 1 MiB")]
    TooLarge,
    /// Elements nested deeper than any message has them.
    #[error("the message is nested too deeply")]
    TooDeep,
    /// Not UTF-8, or declared as another encoding.
    #[error("the message is not UTF-8")]
    Encoding,
    /// A document type or an entity of the document's own; both are refused unread.
    #[error("the message defines or uses entities")]
    Entity,
    /// Not well-formed XML, cut off, or text between elements.
    #[error("the message is not well-formed XML")]
    Malformed,
    /// The root element is not `XmlMsg`.
    #[error("the document is no message of the national system")]
    OtherDocument,
    /// An element that the reader cannot do without is missing or empty.
    #[error("{element} is missing")]
    Missing {
        /// The element's tag.
        element: &'static str,
    },
    /// An element that says one thing occurs twice; neither is believed.
    #[error("{element} occurs more than once")]
    Repeated {
        /// The element's tag.
        element: &'static str,
    },
    /// An element's content is not of its shape.
    #[error("{element} is not of its shape")]
    Value {
        /// The element's tag.
        element: &'static str,
    },
}
