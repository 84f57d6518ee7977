//! The query of a request.

use std::str::FromStr;

use super::reply::Failure;

/// The parameters of a query, each of which is taken once. One that is not taken is an error, so that a
/// misspelt filter does not end all connections.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn new(query: Option<&str>) -> Self {
        let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    /// The value of a parameter, parsed.
    pub(crate) fn take_as<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, Failure> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let parsed =
            text.parse().map_err(|_| Failure::bad(format!("{name}: not what it takes")))?;
        Ok(Some(parsed))
    }

    /// Whether a parameter is present and `true`.
    pub(crate) fn is_set(&mut self, name: &str) -> Result<bool, Failure> {
        Ok(self.take_as(name)?.unwrap_or(false))
    }

    /// Checks that no parameter is left.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(Failure::bad(format!("there is no parameter {name:?} here"))),
        }
    }
}
