//! `sockeye help`: the guide, a page a topic.

use std::ffi::OsString;

use clap::Parser;
use clap::builder::PossibleValuesParser;

use crate::guide::{TOPICS, Topic};

use super::configured::{definition, parse, say};
use super::subcommand;

/// `sockeye help`, validated.
#[derive(Clone, Debug)]
pub struct HelpCommand {
    topic: Option<&'static Topic>,
}

/// The raw flags of `sockeye help`.
#[derive(Debug, Parser)]
#[command(about = "Shows a page of the guide, or lists its topics.", args_override_self = true)]
struct HelpArgs {
    /// The topic; without it, all topics are listed
    #[arg(value_name = "TOPIC", value_parser = topics(), hide_possible_values = true)]
    topic: Option<String>,
}

impl HelpCommand {
    pub(super) fn read(words: &[OsString]) -> Result<Self, clap::Error> {
        let args: HelpArgs = parse("help", words)?;
        let topic = args.topic.and_then(|wanted| TOPICS.iter().find(|topic| topic.name == wanted));
        Ok(Self { topic })
    }

    pub(super) fn definition() -> clap::Command {
        definition::<HelpArgs>("help")
    }

    /// Shows the page or the list.
    pub(super) fn run(&self) {
        match self.topic {
            Some(topic) => say(topic.text),
            None => say(&list()),
        }
    }
}

fn topics() -> PossibleValuesParser {
    TOPICS.iter().map(|topic| topic.name).collect::<Vec<_>>().into()
}

fn list() -> String {
    let width = TOPICS.iter().map(|topic| topic.name.len()).max().unwrap_or_default();
    let line = |topic: &Topic| format!("  {:width$}  {}\n", topic.name, topic.about);
    let topics: String = TOPICS.iter().map(line).collect();
    let commands = subcommand::listing();
    format!("Usage: sockeye help TOPIC\n\nTopics:\n{topics}\n{commands}\n\nFlags: sockeye --help\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_listed_and_has_a_page() {
        let list = list();
        for topic in TOPICS {
            assert!(
                list.contains(&format!("  {}", topic.name)) && list.contains(topic.about),
                "{list}"
            );
            let read = HelpCommand::read(&[topic.name.into()]).expect("a topic");
            assert_eq!(read.topic.map(|topic| topic.name), Some(topic.name));
            assert!(topic.text.starts_with("# "), "{}: a page begins with its title", topic.name);
        }
        let wrong = HelpCommand::read(&["nothing".into()]).expect_err("no topic");
        assert!(wrong.to_string().contains("possible values"), "{wrong}");
    }
}
