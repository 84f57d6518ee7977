//! The effects of keys.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use strum::VariantArray as _;

use super::model::{Details, Mode, Model, Pane};
use super::series::History;
use crate::control::schema::Server;

/// What a key does, apart from changing the view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Quit,
    /// Suspends the program and returns to the shell: Ctrl-Z.
    Suspend,
    Redraw,
    Kill(Vec<u64>),
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Up(usize),
    Down(usize),
    First,
    Last,
}

impl Model {
    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Effect> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Some(Effect::Quit),
                KeyCode::Char('z') => Some(Effect::Suspend),
                KeyCode::Char('l') => Some(Effect::Redraw),
                KeyCode::Char('u') if self.mode == Mode::Filter => {
                    self.filter.clear();
                    None
                }
                _ => None,
            };
        }
        match &self.mode {
            Mode::Ordinary => self.ordinary_key(key.code),
            Mode::Filter => {
                self.filter_key(key.code);
                None
            }
            Mode::Help => {
                self.mode = Mode::Ordinary;
                None
            }
            Mode::Kill(_) => self.answer(key.code),
        }
    }

    fn ordinary_key(&mut self, key: KeyCode) -> Option<Effect> {
        self.note = None;
        match key {
            KeyCode::Char('q') => return Some(Effect::Quit),
            KeyCode::Esc => self.back(),
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.mode = Mode::Help,
            KeyCode::Char(' ') => self.freeze_or_go_on(),
            KeyCode::Char(digit @ '1'..='5') => {
                let number = digit as usize - '1' as usize;
                self.show(Pane::VARIANTS[number]);
            }
            KeyCode::Tab | KeyCode::Right => self.show(self.pane_after(1)),
            KeyCode::BackTab | KeyCode::Left => {
                self.show(self.pane_after(Pane::VARIANTS.len() - 1));
            }
            KeyCode::Up => self.go(Move::Up(1)),
            KeyCode::Down => self.go(Move::Down(1)),
            KeyCode::PageUp => self.go(Move::Up(PAGE)),
            KeyCode::PageDown => self.go(Move::Down(PAGE)),
            KeyCode::Home => self.go(Move::First),
            KeyCode::End => self.go(Move::Last),
            _ if self.pane == Pane::Connections => self.connections_key(key),
            _ => {}
        }
        None
    }

    fn connections_key(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.open(),
            KeyCode::Char('k') => {
                let (open, rows) = (self.details.as_ref(), self.rows());
                let id = match open {
                    Some(details) => {
                        let living = details.connection.outcome.is_none();
                        living.then_some(details.connection.id)
                    }
                    None => self.selected(&rows).map(|(_, seen)| seen.connection.id),
                };
                if let Some(id) = id {
                    self.mode = Mode::Kill(vec![id]);
                }
            }
            KeyCode::Char('K') if self.details.is_none() => {
                let ids: Vec<_> = self.rows().iter().map(|seen| seen.connection.id).collect();
                if !ids.is_empty() {
                    self.mode = Mode::Kill(ids);
                }
            }
            KeyCode::Char('/') => {
                self.details = None;
                self.mode = Mode::Filter;
            }
            KeyCode::Char('s' | '>') => self.order = self.order.next(),
            KeyCode::Char('S' | '<') => self.order = self.order.previous(),
            KeyCode::Char('r') => self.order = self.order.reversed(),
            _ => {}
        }
    }

    fn filter_key(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.mode = Mode::Ordinary,
            KeyCode::Esc => {
                self.filter.clear();
                self.mode = Mode::Ordinary;
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(c) if self.filter.len() < LONGEST => self.filter.push(c),
            _ => {}
        }
    }

    /// Answers the question whether to end connections: only `y` means yes.
    fn answer(&mut self, key: KeyCode) -> Option<Effect> {
        let Mode::Kill(ids) = std::mem::take(&mut self.mode) else { return None };
        matches!(key, KeyCode::Char('y' | 'Y')).then_some(Effect::Kill(ids))
    }

    /// Closes the details, then clears the filter.
    fn back(&mut self) {
        if self.details.take().is_none() {
            self.filter.clear();
        }
    }

    fn open(&mut self) {
        if self.details.is_some() {
            return;
        }
        let rows = self.rows();
        let marked = self.selected(&rows).map(|(_, seen)| seen.connection.clone());
        self.details = marked.map(|connection| Details { connection, history: History::default() });
    }

    fn show(&mut self, pane: Pane) {
        self.pane = pane;
        self.offset = 0;
        self.details = None;
    }

    fn pane_after(&self, steps: usize) -> Pane {
        let here = Pane::VARIANTS.iter().position(|pane| *pane == self.pane).unwrap_or(0);
        Pane::VARIANTS[(here + steps) % Pane::VARIANTS.len()]
    }

    fn go(&mut self, to: Move) {
        if self.details.is_some() {
            return;
        }
        if self.pane != Pane::Connections {
            self.offset = to.from(self.offset, self.lines());
            return;
        }
        let rows = self.rows();
        let Some((here, _)) = self.selected(&rows) else { return };
        self.selected = Some(rows[to.from(here, rows.len())].connection.id);
    }

    /// The number of lines in a list without a selection.
    fn lines(&self) -> usize {
        let facts = self.facts();
        match self.pane {
            Pane::Connections => facts.connections.len(),
            Pane::Servers => {
                let lines = |s: &Server| 1 + s.jumps.len() + s.sessions.len();
                facts.status.servers.iter().map(lines).sum()
            }
            Pane::Rules => facts.rules.len(),
            Pane::Forwards => facts.status.forwards.len(),
            Pane::Happenings => facts.happenings.len(),
        }
    }
}

impl Move {
    /// The new index in a list of `lines` lines.
    fn from(self, here: usize, lines: usize) -> usize {
        let last = lines.saturating_sub(1);
        match self {
            Self::Up(by) => here.saturating_sub(by),
            Self::Down(by) => (here + by).min(last),
            Self::First => 0,
            Self::Last => last,
        }
    }
}

/// The number of lines in a page.
const PAGE: usize = 10;
/// The longest filter, in bytes.
const LONGEST: usize = 200;
