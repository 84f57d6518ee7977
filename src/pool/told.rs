//! What the log has said, so that a server that is away for an hour is one line.

/// The last message on each subject; none once it is resolved.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Why there is no session.
    pub(super) session: Option<String>,
    /// That a person has to log in.
    pub(super) person: Option<String>,
    /// Why there is no further session.
    pub(super) growth: Option<String>,
    /// Whether the log has said that the server closes unused sessions.
    pub(super) closes_unused: bool,
}

/// Whether `text` differs from the last message, which it becomes.
pub(super) fn is_news(told: &mut Option<String>, text: &str) -> bool {
    let news = told.as_deref() != Some(text);
    if news {
        *told = Some(text.to_owned());
    }
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_news_until_it_was_told() {
        let mut told = None;
        let heard: Vec<_> = ["refused", "refused", "no route", "refused"]
            .map(|text| is_news(&mut told, text))
            .into();
        assert_eq!(heard, [true, false, true, true]);
    }
}
