//! A filter on connections.

use super::query::Query;
use super::reply::Failure;
use crate::registry::{Connection, State};

/// A filter on connections; all of its conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    server: Option<String>,
    rule: Option<String>,
    listener: Option<String>,
    user: Option<String>,
    /// The target's host, or a domain that it lies in.
    host: Option<String>,
    state: Option<State>,
    session: Option<u64>,
    /// The minimum age, in milliseconds.
    older: Option<u64>,
    min_bytes: Option<u64>,
}

impl Filter {
    /// Takes the filter out of a query.
    pub(super) fn take(query: &mut Query) -> Result<Self, Failure> {
        let known = "state: waiting, opening, relaying, half_closed or ended";
        let state = query.take("state").map(|word| word.parse().map_err(|_| Failure::bad(known)));
        Ok(Self {
            server: query.take("server"),
            rule: query.take("rule"),
            listener: query.take("listener"),
            user: query.take("user"),
            host: query.take("host").map(|host| host.to_ascii_lowercase()),
            state: state.transpose()?,
            session: query.take_as("session")?,
            older: query.take_as("older")?,
            min_bytes: query.take_as("min_bytes")?,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn wants_ended(&self) -> bool {
        self.state == Some(State::Ended)
    }

    pub(super) fn matches(&self, connection: &Connection) -> bool {
        let request = connection.request();
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let traffic = connection.traffic();
        is(&self.server, connection.server().as_deref())
            && is(&self.rule, connection.rule().as_deref())
            && is(&self.listener, Some(&request.listener))
            && is(&self.user, request.user.as_deref())
            && self.host.as_deref().is_none_or(|host| is_below(connection, host))
            && self.state.is_none_or(|state| connection.state() == state)
            && self.session.is_none_or(|session| connection.session() == Some(session))
            && self
                .older
                .is_none_or(|older| connection.began().elapsed().as_millis() >= older.into())
            && self.min_bytes.is_none_or(|bytes| traffic.up + traffic.down >= bytes)
    }
}

fn is_below(connection: &Connection, host: &str) -> bool {
    let Some(target) = connection.request().target.host() else { return false };
    let target = target.to_string();
    target == host || target.strip_suffix(host).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::Destination;
    use crate::registry::Connections;
    use crate::request::{Protocol, Request, Source};

    #[test]
    fn all_conditions_must_hold() {
        let target = Destination::parse("db.corp.example:5432", None).expect("good").into();
        let (listener, protocol) = ("l".into(), Protocol::Socks5);
        let user = Some("ada".into());
        let request = Request { listener, protocol, source: Source::Unix, user, target };
        let connection = Connections::default().begin(&request);
        connection.decided(Some(&"work".into()));
        connection.carried_by(7);
        connection.received(10);
        for (query, holds) in [
            ("", true),
            ("listener=l&user=ada", true),
            ("listener=l&user=bob", false),
            ("server=box", false),
            ("host=corp.example", true),
            ("host=DB.corp.example", true),
            ("host=orp.example", false),
            ("rule=work&session=7", true),
            ("rule=home", false),
            ("session=8", false),
            ("state=waiting&min_bytes=10", true),
            ("state=opening", false),
            ("min_bytes=11", false),
            ("older=60000", false),
        ] {
            let mut query_of = Query::new(Some(query));
            let filter = Filter::take(&mut query_of).expect(query);
            query_of.finish().expect(query);
            assert_eq!(filter.matches(&connection), holds, "{query}");
        }
        assert!(Filter::take(&mut Query::new(Some("state=open"))).is_err());
        let mut query = Query::new(Some("sever=box"));
        let _ = Filter::take(&mut query).expect("nothing that it knows");
        assert!(query.finish().is_err());
    }
}
