//! `maru metrics board`: boards from the dashboards of Grafana, and what is wrong with boards.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use maru_api::API_VERSION;
use maru_monitoring::boards::{Board, check, import_grafana};
use serde_json::json;

use crate::report::Report;

#[derive(Debug, Subcommand)]
pub(crate) enum BoardCommand {
    /// Print the board that a dashboard of Grafana becomes; what is not understood is told beside it, and in its notes
    #[command(after_help = "Example:\n  maru -n shop metrics board import dashboard.json | kubectl apply -f -")]
    Import {
        /// The dashboard's JSON, as Grafana exports it
        file: PathBuf,
        /// The object's name; by default made of the title
        #[arg(long)]
        name: Option<String>,
    },
    /// Say all that is wrong with boards; exits with 1 when anything is
    Check {
        /// Files with one object each
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

pub(crate) fn run(namespace: &str, command: BoardCommand, report: Report) -> anyhow::Result<u8> {
    match command {
        BoardCommand::Import { file, name } => {
            let board = import_grafana(&read(&file)?).with_context(|| format!("\"{}\"", file.display()))?;
            for note in &board.notes {
                report.progress(format_args!("note: {note}"));
            }
            let name = name.unwrap_or_else(|| name_of(&board.title));
            let object = json!({"apiVersion": API_VERSION, "kind": "Board",
                "metadata": {"name": name, "namespace": namespace}, "spec": board});
            report.line(serde_saphyr::to_string(&object)?.trim_end());
            report.value(&object);
            Ok(0)
        }
        BoardCommand::Check { files } => {
            let mut told = Vec::new();
            for file in &files {
                let object = maru_kube::yaml::parse(&read(file)?)
                    .with_context(|| format!("\"{}\" is no YAML", file.display()))?
                    .value;
                let board: Result<Board, _> = serde_json::from_value(object["spec"].clone());
                let problems = board.map_or_else(|error| vec![error.to_string()], |board| check(&board));
                for problem in &problems {
                    report.line(format_args!("{}: {problem}", file.display()));
                }
                told.push(json!({"file": file, "problems": problems}));
            }
            let is_good = told.iter().all(|one| one["problems"] == json!([]));
            report.value(&json!({"files": told}));
            Ok(u8::from(!is_good))
        }
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read \"{}\"", file.display()))
}

/// Makes an object's name of a title.
fn name_of(title: &str) -> String {
    let words = title.to_lowercase().replace(|letter: char| !letter.is_ascii_alphanumeric(), " ");
    let mut name = words.split_whitespace().collect::<Vec<_>>().join("-");
    name.truncate(63);
    let name = name.trim_end_matches('-');
    if name.is_empty() { "board".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    #[test]
    fn titles_become_names() {
        for (title, name) in [("Node Exporter / Full!", "node-exporter-full"), ("주문", "board"), ("  A  b", "a-b")] {
            assert_eq!(super::name_of(title), name);
        }
    }
}
