//! The effects of keys and news.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use strum::VariantArray as _;

use super::keys::Effect;
use super::model::{Interest, Link, Mode, Model, News, Pane};
use super::rows::{Column, Direction};
use super::samples::{connections, event, many, model, rules, status};
use crate::control::schema::{Connection, Event, Traffic};

fn press(model: &mut Model, code: KeyCode) -> Option<Effect> {
    model.key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn type_in(model: &mut Model, text: &str) {
    for c in text.chars() {
        assert_eq!(press(model, KeyCode::Char(c)), None);
    }
}

fn ids(model: &Model) -> Vec<u64> {
    model.rows().iter().map(|seen| seen.connection.id).collect()
}

fn closed(connection: &Connection) -> News {
    event(Event::ConnectionClosed { connection: Box::new(connection.clone()) })
}

#[test]
fn every_column_sorts_and_the_busiest_is_first_by_default() {
    let mut model = model(connections(), 1);
    assert_eq!(model.order.column, Column::DownRate);
    assert_eq!(ids(&model)[0], 7, "the busiest");
    let mut seen = Vec::new();
    for _ in Column::VARIANTS {
        press(&mut model, KeyCode::Char('s'));
        seen.push((model.order.column, ids(&model)));
    }
    assert_eq!(model.order.column, Column::DownRate, "all of them, round");
    let by = |column| &seen.iter().find(|(known, _)| *known == column).expect("one of them").1;
    assert_eq!(by(Column::Id), &[7, 9, 12, 13]);
    assert_eq!(by(Column::Age), &[13, 12, 9, 7], "the oldest first");
    assert_eq!(by(Column::UpRate), &[13, 12, 9, 7]);
    assert_eq!(by(Column::Target), &[9, 12, 13, 7]);
    assert_eq!(by(Column::State), &[12, 9, 7, 13]);
    assert_eq!(by(Column::Via)[0], 13, "over none comes before all names");
    press(&mut model, KeyCode::Char('S'));
    assert_eq!(model.order.column, Column::Age);
    press(&mut model, KeyCode::Char('r'));
    assert_eq!((model.order.direction, ids(&model)), (Direction::Ascending, vec![7, 9, 12, 13]));
}

#[test]
fn all_words_of_a_filter_must_occur() {
    let mut model = model(connections(), 1);
    press(&mut model, KeyCode::Char('/'));
    type_in(&mut model, "EXAMPLE bastion qk");
    assert_eq!(ids(&model), [0; 0]);
    press(&mut model, KeyCode::Backspace);
    press(&mut model, KeyCode::Backspace);
    assert_eq!(ids(&model).len(), 3, "q and k were letters");
    press(&mut model, KeyCode::Enter);
    assert_eq!((&model.mode, model.filter.as_str()), (&Mode::Ordinary, "EXAMPLE bastion "));
    press(&mut model, KeyCode::Esc);
    assert_eq!((ids(&model).len(), model.filter.as_str()), (4, ""));
    press(&mut model, KeyCode::Char('/'));
    type_in(&mut model, "me half");
    assert_eq!(ids(&model), [12], "user and state");
    type_in(&mut model, &"x".repeat(10_000));
    assert!(model.filter.len() <= 200);
    press(&mut model, KeyCode::Esc);
    assert_eq!(model.filter, "");
}

#[test]
fn nothing_is_ended_without_confirmation() {
    let mut model = model(connections(), 1);
    for key in [KeyCode::Char('n'), KeyCode::Enter, KeyCode::Esc, KeyCode::Char(' '), KeyCode::Down]
    {
        press(&mut model, KeyCode::Char('k'));
        assert_eq!(model.mode, Mode::Kill(vec![7]));
        assert_eq!(press(&mut model, key), None, "{key:?}");
        assert_eq!(model.mode, Mode::Ordinary);
    }
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Char('k'));
    assert_eq!(press(&mut model, KeyCode::Char('y')), Some(Effect::Kill(vec![13])));
    press(&mut model, KeyCode::Char('/'));
    type_in(&mut model, "files");
    press(&mut model, KeyCode::Enter);
    press(&mut model, KeyCode::Char('K'));
    assert_eq!(press(&mut model, KeyCode::Char('Y')), Some(Effect::Kill(vec![12])));
    model.hear(News::Done("ended: 1".to_owned()));
    assert_eq!(model.note.as_deref(), Some("ended: 1"));
    press(&mut model, KeyCode::Up);
    assert_eq!(model.note, None);
    model.pane = Pane::Rules;
    assert_eq!((press(&mut model, KeyCode::Char('k')), &model.mode), (None, &Mode::Ordinary));
}

#[test]
fn the_selection_stays_on_its_connection() {
    let mut model = model(connections(), 1);
    press(&mut model, KeyCode::End);
    assert_eq!(model.selected, Some(9));
    let busy = Connection {
        traffic: Traffic { down_rate: 1 << 30, ..Traffic::default() },
        ..connections()[1].clone()
    };
    let status = Box::new(status(3_602_000));
    model.hear(event(Event::Tick { status, connections: vec![busy.clone()] }));
    assert_eq!(ids(&model)[0], 9, "it is the busiest now");
    let rows = model.rows();
    assert_eq!(model.selected(&rows).map(|(index, _)| index), Some(0));
    model.hear(closed(&busy));
    let rows = model.rows();
    assert_eq!(model.selected(&rows).map(|(_, seen)| seen.connection.id), Some(7));
    let mut empty = Model::default();
    for key in [KeyCode::Down, KeyCode::End, KeyCode::Enter, KeyCode::Char('k'), KeyCode::Char('K')]
    {
        assert_eq!(press(&mut empty, key), None);
    }
    assert_eq!((&empty.mode, empty.details.is_none()), (&Mode::Ordinary, true));
}

#[test]
fn details_are_polled_while_their_connection_lives() {
    let mut model = model(connections(), 1);
    assert_eq!(model.interest(), Interest::default());
    press(&mut model, KeyCode::Enter);
    assert_eq!(model.interest().connection, Some(7));
    let mut known = connections()[0].clone();
    known.remark = Some("the line is full".into());
    model.hear(News::Connection(Box::new(connections()[1].clone())));
    model.hear(News::Connection(Box::new(known.clone())));
    let details = model.details.as_ref().expect("open");
    assert_eq!((details.connection.id, details.history.down.newest(9).count()), (7, 1));
    known.outcome = Some("killed".into());
    model.hear(closed(&known));
    assert_eq!(model.interest().connection, None);
    press(&mut model, KeyCode::Char('k'));
    assert_eq!(model.mode, Mode::Ordinary, "it has ended");
    press(&mut model, KeyCode::Esc);
    assert!(model.details.is_none());
    press(&mut model, KeyCode::Char('3'));
    assert!(model.interest().rules);
    model.hear(News::Rules(rules()));
    assert_eq!(model.facts().rules.len(), 3);
}

#[test]
fn a_restart_resets_all_state() {
    let mut model = model(connections(), 5);
    press(&mut model, KeyCode::Enter);
    press(&mut model, KeyCode::Char('k'));
    model.hear(News::Gone("the program has ended".into()));
    assert_eq!(model.facts().connections.len(), 4, "the last known state is still shown");
    let mut other = status(1000);
    other.instance.run = "two".into();
    model.hear(event(Event::Reset { status: Box::new(other), connections: many(1) }));
    assert_eq!((&model.link, &model.mode), (&Link::Up, &Mode::Ordinary));
    assert!(model.details.is_none() && model.facts().happenings.is_empty());
    assert_eq!(ids(&model), [1]);
    assert_eq!(model.facts().total.down.newest(9).count(), 0);
}

#[test]
fn a_paused_view_catches_up_when_it_resumes() {
    let mut model = model(connections(), 1);
    press(&mut model, KeyCode::Char(' '));
    model.hear(closed(&connections()[0]));
    assert_eq!(ids(&model).len(), 4);
    press(&mut model, KeyCode::Char(' '));
    assert_eq!(ids(&model).len(), 3);
}

#[test]
fn events_are_listed_up_to_a_limit() {
    let mut model = model(connections(), 1);
    let failed = Connection { failure: Some("no\nroute".into()), ..connections()[3].clone() };
    model.hear(closed(&failed));
    let text = &model.facts().happenings[0].text;
    assert_eq!(text, "host.lab.example:443 failed: no\\nroute");
    for session in 0..2000 {
        model.hear(event(Event::SessionUp { server: "a\x1bb".into(), session }));
    }
    assert_eq!(model.facts().happenings.len(), 500);
    assert_eq!(model.facts().happenings[0].text, "session 1999 of a\\u{1b}b is up");
    model.hear(closed(&connections()[0]));
    assert_eq!(model.facts().happenings[0].text, "session 1999 of a\\u{1b}b is up", "no news");
    press(&mut model, KeyCode::Char('5'));
    press(&mut model, KeyCode::End);
    press(&mut model, KeyCode::Down);
    assert_eq!(model.offset, 499);
}

#[test]
fn control_keys_work_the_same_in_every_mode() {
    let mut model = model(connections(), 1);
    for start in [None, Some('/'), Some('?'), Some('k')] {
        if let Some(start) = start {
            press(&mut model, KeyCode::Char(start));
        }
        let mut control = |c| model.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL));
        assert_eq!(control('c'), Some(Effect::Quit));
        assert_eq!(control('z'), Some(Effect::Suspend));
        assert_eq!(control('l'), Some(Effect::Redraw));
        model.mode = Mode::Ordinary;
    }
    assert_eq!(press(&mut model, KeyCode::Char('q')), Some(Effect::Quit));
}
