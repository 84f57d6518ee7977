//! Comparisons with approved screens. `SOCKEYE_SCREENS=write` writes them anew, for approval.

use std::fs;
use std::path::Path;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;
use strum::VariantArray as _;

use super::super::model::{Model, News, Pane};
use super::super::samples::{connections, event, many, model, rules};
use super::theme::{Characters, Palette, Theme};
use super::{draw, window};
use crate::control::schema::{Connection, Event, Status};
use crate::printable::is_deceptive;

fn theme() -> Theme {
    Theme::new(Palette::Colours, Characters::Unicode)
}

/// The content of a terminal of that size, one line each.
fn screen(model: &Model, theme: &Theme, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("memory");
    terminal.draw(|frame| draw(model, theme, frame.area(), frame.buffer_mut())).expect("memory");
    let shown = terminal.backend().to_string();
    let lines = shown.lines().map(|line| line.trim_start_matches('"').trim_end_matches('"'));
    lines.map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn press(model: &mut Model, keys: &str) {
    for key in keys.chars() {
        let code = if key == '\n' { KeyCode::Enter } else { KeyCode::Char(key) };
        model.key(KeyEvent::new(code, KeyModifiers::NONE));
    }
}

/// Compares a screen with the approved one.
#[track_caller]
fn is_as_approved(name: &str, screen: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/operate/top/view/screens");
    let file = folder.join(format!("{name}.txt"));
    if std::env::var_os("SOCKEYE_SCREENS").is_some_and(|word| word == "write") {
        fs::write(&file, screen).expect("written");
    }
    let judged = fs::read_to_string(&file).unwrap_or_default();
    assert!(judged == screen, "{name} was:\n{judged}\nand is:\n{screen}");
}

#[test]
fn the_screens() {
    let mut top = model(connections(), 12);
    for (width, height) in [(80, 24), (160, 30), (40, 8)] {
        let name = format!("connections_{width}x{height}");
        is_as_approved(&name, &screen(&top, &theme(), width, height));
    }
    let ascii = Theme::new(Palette::Plain, Characters::Ascii);
    let shown = screen(&top, &ascii, 80, 24);
    assert!(shown.is_ascii(), "{shown}");
    let shown = screen(&all_of("x世\u{301}界"), &ascii, 80, 24);
    assert!(shown.is_ascii() && shown.contains("x? ? "), "{shown}");
    let shown = screen(&top, &ascii, 80, 24);
    is_as_approved("ascii_80x24", &shown);
    press(&mut top, "k");
    is_as_approved("kill_80x24", &screen(&top, &theme(), 80, 24));
    press(&mut top, "n/host");
    is_as_approved("filter_80x24", &screen(&top, &theme(), 80, 24));
    press(&mut top, "\n\n");
    is_as_approved("details_waiting_80x24", &screen(&top, &theme(), 80, 24));
    top.hear(event(Event::SessionUp { server: "bastion".into(), session: 5 }));
    top.hear(event(Event::Reloaded { text: "1 rule more".into() }));
    for (number, name) in [(2, "servers"), (3, "rules"), (4, "listeners"), (5, "events")] {
        top.hear(News::Rules(rules()));
        press(&mut top, &number.to_string());
        is_as_approved(&format!("{name}_80x24"), &screen(&top, &theme(), 80, 24));
    }
    press(&mut top, "?");
    is_as_approved("help_80x24", &screen(&top, &theme(), 80, 24));
}

#[test]
fn the_details_of_a_slow_client() {
    let mut top = model(connections(), 12);
    press(&mut top, "/files\n\n");
    for _ in 0..9 {
        top.hear(News::Connection(Box::new(connections()[2].clone())));
    }
    is_as_approved("details_80x24", &screen(&top, &theme(), 80, 24));
}

#[test]
fn a_missing_program_is_reported() {
    let mut top = Model::default();
    is_as_approved("joining_80x24", &screen(&top, &theme(), 80, 24));
    top.hear(News::Gone("the program is not running".into()));
    let shown = screen(&top, &theme(), 80, 24);
    assert!(shown.contains("is not running; trying again"), "{shown}");
    let mut top = model(connections(), 3);
    top.hear(News::Silent(5));
    is_as_approved("silent_80x24", &screen(&top, &theme(), 80, 24));
    top.hear(event(Event::Reloaded { text: "1 rule more".into() }));
    let shown = screen(&top, &theme(), 80, 24);
    assert!(!shown.contains("are old"), "it answers again:\n{shown}");
}

#[test]
fn an_empty_state_is_drawn() {
    let mut top = Model::default();
    let instance = super::super::samples::status(1000).instance;
    let status = Status { instance, state: "ready".into(), ..Status::default() };
    top.hear(event(Event::Reset { status: Box::new(status), connections: Vec::new() }));
    is_as_approved("empty_80x24", &screen(&top, &theme(), 80, 24));
}

#[test]
fn two_thousand_connections_scroll() {
    let mut top = model(many(2000), 1);
    let first = screen(&top, &theme(), 80, 24);
    assert!(first.contains("  2000\n"), "{first}");
    top.key(KeyEvent::new(KeyCode::End, KeyModifiers::NONE));
    let last = screen(&top, &theme(), 80, 24);
    assert_ne!(first, last);
    let marked = top.selected.expect("the last").to_string();
    let line = last.lines().nth(22).expect("the line above the foot");
    assert!(line.trim_start().starts_with(&marked), "{marked} is the last:\n{last}");
    assert_eq!([window(0, 9, 4), window(5, 9, 4), window(8, 9, 4), window(1, 2, 4)], [0, 3, 5, 0]);
}

#[test]
fn without_colours_there_are_none() {
    let colours = |palette| {
        let theme = Theme::new(palette, Characters::Unicode);
        let mut found = Vec::new();
        for keys in ["", "k", "n2", "4", "1\n"] {
            let mut top = model(connections(), 12);
            press(&mut top, keys);
            let area = Rect::new(0, 0, 80, 24);
            let mut buffer = Buffer::empty(area);
            draw(&top, &theme, area, &mut buffer);
            let cells = buffer.content.iter();
            found.extend(cells.flat_map(|cell| [cell.fg, cell.bg]).filter(|c| *c != Color::Reset));
        }
        found.len()
    };
    assert_eq!(colours(Palette::Plain), 0);
    assert!(colours(Palette::Colours) > 0);
}

#[test]
fn the_selection_is_visible_without_colours() {
    let plain = Theme::new(Palette::Plain, Characters::Unicode);
    let area = Rect::new(0, 0, 80, 24);
    let mut buffer = Buffer::empty(area);
    draw(&model(connections(), 1), &plain, area, &mut buffer);
    let marked = ratatui::style::Modifier::REVERSED;
    let lines = area
        .rows()
        .filter(|row| row.columns().all(|cell| buffer[(cell.x, cell.y)].modifier.contains(marked)));
    assert_eq!(lines.count(), 1);
}

#[test]
fn every_size_is_drawn() {
    let mut open = model(connections(), 12);
    press(&mut open, "\n");
    let mut asked = model(many(50), 12);
    press(&mut asked, "K");
    for width in 0..90 {
        for height in 0..30 {
            for top in [&open, &asked, &Model::default()] {
                let area = Rect::new(0, 0, width, height);
                draw(top, &theme(), area, &mut Buffer::empty(area));
            }
        }
    }
}

/// A model in which every text is this one.
fn all_of(text: &str) -> Model {
    let mut top = Model::default();
    let mut status = super::super::samples::status(1000);
    for server in &mut status.servers {
        server.name = text.to_owned();
        server.state = text.to_owned();
        server.reason = text.to_owned();
        for jump in &mut server.jumps {
            (jump.name, jump.state, jump.reason) = (text.into(), text.into(), text.into());
        }
        for session in &mut server.sessions {
            session.state = text.to_owned();
            session.cipher = text.to_owned();
        }
    }
    for forward in &mut status.forwards {
        (forward.kind, forward.spec, forward.state) = (text.into(), text.into(), text.into());
        forward.name = Some(text.into());
        forward.addresses = vec![text.into()];
        forward.reason = forward.reason.as_ref().map(|_| text.into());
    }
    for trouble in &mut status.health {
        (trouble.what, trouble.name, trouble.text) = (text.into(), text.into(), text.into());
    }
    status.state = text.to_owned();
    status.instance.name = text.to_owned();
    let connection = Connection {
        state: text.into(),
        listener: text.into(),
        protocol: text.into(),
        source: text.into(),
        user: Some(text.into()),
        target: text.into(),
        rule: Some(text.into()),
        server: Some(text.into()),
        session: Some(3),
        remark: Some(text.into()),
        ..connections()[0].clone()
    };
    top.hear(event(Event::Reset { status: Box::new(status), connections: vec![connection] }));
    let mut rules = rules();
    for rule in &mut rules {
        (rule.name, rule.action) = (text.into(), text.into());
    }
    top.hear(News::Rules(rules));
    top.hear(event(Event::Reloaded { text: text.into() }));
    top.hear(News::Done(text.into()));
    top
}

fn deceives(top: &mut Model) -> Option<String> {
    for (pane, keys) in Pane::VARIANTS.iter().copied().zip(["k", "", "", "", ""]) {
        top.pane = pane;
        press(top, keys);
        for width in [40, 80, 200] {
            let area = Rect::new(0, 0, width, 24);
            let mut buffer = Buffer::empty(area);
            draw(top, &theme(), area, &mut buffer);
            let bad = buffer.content.iter().find(|cell| cell.symbol().contains(is_deceptive));
            if let Some(cell) = bad {
                return Some(format!("{:?} in {pane:?}", cell.symbol()));
            }
        }
        press(top, "n\n");
    }
    None
}

#[test]
fn hostile_texts_are_escaped_and_bounded() {
    let hostile = format!("\x1b]0;x\x07\x1b[2J\u{202e}\r\n\t{}", "A".repeat(100_000));
    let mut top = all_of(&hostile);
    assert_eq!(deceives(&mut top), None);
    let mut top = all_of("\x1b[2J\u{202e}");
    let shown = screen(&top, &theme(), 160, 24);
    assert!(shown.contains("\\u{1b}[2J\\u{202e}"), "{shown}");
    press(&mut top, "\n");
    let shown = screen(&top, &theme(), 160, 24);
    assert!(shown.matches("\\u{1b}[2J\\u{202e}").count() > 5, "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_text_can_deceive(text in any::<String>()) {
        prop_assert_eq!(deceives(&mut all_of(&text)), None);
    }
}
