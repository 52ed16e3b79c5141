//! The boards that are always there.

use maru_yaml::parse;

use super::Board;

const TEXTS: [(&str, &str); 5] = [
    ("machine", include_str!("../../boards/machine.yaml")),
    ("maru", include_str!("../../boards/maru.yaml")),
    ("objectives", include_str!("../../boards/objectives.yaml")),
    ("pods", include_str!("../../boards/pods.yaml")),
    ("services", include_str!("../../boards/services.yaml")),
];

/// Returns the boards that are always there, by name: use, saturation and errors of the machine and the pods; rate, errors and
/// durations of services; objectives; Maru itself.
#[must_use]
pub fn built_in() -> Vec<(&'static str, Board)> {
    let read = |text: &str| -> Board {
        let tree = parse(text).expect("our own boards are YAML: a test reads them");
        serde_json::from_value(tree.to_value()).expect("our own boards are right: a test reads them")
    };
    TEXTS.map(|(name, text)| (name, read(text))).into()
}

#[cfg(test)]
mod tests {
    use crate::boards::check;

    #[test]
    fn our_own_boards_are_right() {
        let boards = super::built_in();
        assert_eq!(boards.len(), 5);
        for (name, board) in boards {
            let wrong = check(&board);
            assert!(wrong.is_empty(), "{name}: {wrong:#?}");
            let too_wide =
                board.rows.iter().flat_map(|row| &row.panels).find(|panel| panel.width > super::super::COLUMNS);
            assert!(too_wide.is_none(), "{name}: {too_wide:?}");
        }
    }
}
