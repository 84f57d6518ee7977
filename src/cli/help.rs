//! `sockeye help`: the pages of the guide, one per topic, and the list of all commands.

use clap::Parser;
use clap::builder::PossibleValuesParser;

use crate::guide::{TOPICS, Topic};

use super::configured::say;
use super::subcommand;

#[derive(Clone, Debug, Parser)]
#[command(about = "Shows a page of the guide or the help of a command, or lists them.")]
pub struct HelpCommand {
    /// The topic or command; without it, all are listed
    #[arg(value_name = "TOPIC|COMMAND", value_parser = topics(), hide_possible_values = true)]
    topic: Option<String>,
}

impl HelpCommand {
    pub(super) fn run(&self) {
        say(&self.page().map_or_else(list, |topic| shown(topic.text)));
    }

    fn page(&self) -> Option<&'static Topic> {
        TOPICS.iter().find(|topic| Some(topic.name) == self.topic.as_deref())
    }
}

/// The page, without the marks between which `versus` writes its tables.
fn shown(page: &str) -> String {
    page.split_inclusive('\n').filter(|line| !line.starts_with("<!--")).collect()
}

fn topics() -> PossibleValuesParser {
    TOPICS.iter().map(|topic| topic.name).collect::<Vec<_>>().into()
}

fn list() -> String {
    let width = TOPICS.iter().map(|topic| topic.name.len()).max().unwrap_or_default();
    let line = |topic: &Topic| format!("  {:width$}  {}\n", topic.name, topic.about);
    let topics: String = TOPICS.iter().map(line).collect();
    let commands = subcommand::table();
    format!(
        "Usage: sockeye help TOPIC|COMMAND\n\nTopics:\n{topics}\nCommands:\n{commands}\n\
         Flags: sockeye --help\n"
    )
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
            let read = HelpCommand::try_parse_from(["help", topic.name]).expect("a topic");
            assert_eq!(read.page().map(|topic| topic.name), Some(topic.name));
            assert!(topic.text.starts_with("# "), "{}: a page begins with its title", topic.name);
            assert!(!shown(topic.text).contains("<!--"), "{}", topic.name);
        }
        let wrong = HelpCommand::try_parse_from(["help", "nothing"]).expect_err("no topic");
        assert!(wrong.to_string().contains("possible values"), "{wrong}");
    }
}
