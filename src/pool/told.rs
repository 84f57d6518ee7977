//! What the user was told, so that a server that is away for an hour is one line.

/// The last word on each matter; nothing, when it is settled.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Why there is no session.
    pub(super) session: Option<String>,
    /// That somebody has to log in.
    pub(super) person: Option<String>,
    /// Why there is no further session.
    pub(super) growth: Option<String>,
    /// Whether it is known that the server closes what is unused.
    pub(super) let_be: bool,
}

/// Whether `text` is not what was told last; from now on it is.
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
