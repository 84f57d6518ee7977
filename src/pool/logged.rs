//! What was logged last, so that a server that is away for an hour is logged once.

/// The last message on each subject; none once it is resolved.
#[derive(Debug, Default)]
pub(super) struct Logged {
    /// Why there is no session.
    pub(super) session: Option<String>,
    /// That the login needs a person.
    pub(super) person: Option<String>,
    /// Why a further session could not be opened.
    pub(super) growth: Option<String>,
    /// Whether it was logged that the server closes unused sessions.
    pub(super) closes_unused: bool,
}

/// Whether `text` differs from the last message, which it replaces.
pub(super) fn is_news(last: &mut Option<String>, text: &str) -> bool {
    let news = last.as_deref() != Some(text);
    if news {
        *last = Some(text.to_owned());
    }
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_news_until_it_was_logged() {
        let mut last = None;
        let news: Vec<_> = ["refused", "refused", "no route", "refused"]
            .map(|text| is_news(&mut last, text))
            .into();
        assert_eq!(news, [true, false, true, true]);
    }
}
