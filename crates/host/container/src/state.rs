//! State files: one per container, replaced as a whole.
//!
//! They survive the daemon and the shim, not the machine: after a restart of the machine no container runs, whatever a file says.
//! So they are not synced, and what cannot be read is nothing.

use std::io;
use std::path::Path;

use crate::protocol::{CONTAINERS, STATE};
use crate::status::{ContainerPhase, ContainerState};

/// Replaces a state file.
pub(crate) fn write(path: &Path, state: &ContainerState) -> io::Result<()> {
    let temporary = path.with_extension("new");
    std::fs::write(&temporary, serde_json::to_vec(state)?)?;
    std::fs::rename(temporary, path)
}

/// Reads the states that a shim which does not live any more left in its pod's directory, sorted. What was not final is lost.
pub(crate) fn read_all(pod: &Path) -> Vec<ContainerState> {
    let entries = std::fs::read_dir(pod.join(CONTAINERS)).into_iter().flatten().filter_map(Result::ok);
    let mut states: Vec<ContainerState> = entries
        .filter_map(|entry| std::fs::read(entry.path().join(STATE)).ok())
        .filter_map(|text| serde_json::from_slice(&text).ok())
        .map(|state: ContainerState| ContainerState { phase: without_shim(state.phase), ..state })
        .collect();
    states.sort_by(|first, second| first.id.cmp(&second.id));
    states
}

fn without_shim(phase: ContainerPhase) -> ContainerPhase {
    match phase {
        ContainerPhase::Creating => ContainerPhase::Lost { started_at: None },
        ContainerPhase::Running(started) => ContainerPhase::Lost { started_at: Some(started.at) },
        phase @ (ContainerPhase::Exited(_) | ContainerPhase::Failed { .. } | ContainerPhase::Lost { .. }) => phase,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{ContainerId, Started};

    #[test]
    fn what_ran_without_a_shim_is_lost() {
        let pod = tempfile::tempdir().unwrap();
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        let phases = [("a", ContainerPhase::Running(Started { pid: 1, at })), ("b", ContainerPhase::Creating)];
        for (name, phase) in phases {
            let directory = pod.path().join(CONTAINERS).join(name);
            std::fs::create_dir_all(&directory).unwrap();
            write(&directory.join(STATE), &ContainerState { id: ContainerId::new(name, 0), phase }).unwrap();
        }
        std::fs::create_dir_all(pod.path().join(CONTAINERS).join("torn")).unwrap();
        std::fs::write(pod.path().join(CONTAINERS).join("torn").join(STATE), "{").unwrap();
        let phases: Vec<_> = read_all(pod.path()).into_iter().map(|state| state.phase).collect();
        assert_eq!(phases, [ContainerPhase::Lost { started_at: Some(at) }, ContainerPhase::Lost { started_at: None }]);
    }
}
