//! Failure switches: slow (milliseconds, ratio), errors (ratio), crash, leak (bytes a request).

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

#[derive(Default)]
pub struct Failures {
    settings: Mutex<Settings>,
    leaked: Mutex<Vec<Vec<u8>>>,
}

#[derive(Clone, Copy)]
struct Settings {
    slow_ms: f64,
    slow_ratio: f64,
    error_ratio: f64,
    leak_bytes: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { slow_ms: 0.0, slow_ratio: 1.0, error_ratio: 0.0, leak_bytes: 0.0 }
    }
}

impl Failures {
    pub fn show(&self) -> Value {
        let now = *self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        json!({"slow_ms": now.slow_ms, "slow_ratio": now.slow_ratio, "error_ratio": now.error_ratio, "leak_bytes": now.leak_bytes})
    }

    pub fn change(&self, wanted: &Value) -> Result<Value, String> {
        if wanted["crash"].as_bool() == Some(true) {
            std::process::exit(42);
        }
        let mut settings = *self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in wanted.as_object().into_iter().flatten() {
            let number = value.as_f64().filter(|number| *number >= 0.0);
            let number = number.ok_or_else(|| format!("{key} must be a number of at least 0"))?;
            match key.as_str() {
                "slow_ms" => settings.slow_ms = number,
                "slow_ratio" => settings.slow_ratio = number,
                "error_ratio" => settings.error_ratio = number,
                "leak_bytes" => settings.leak_bytes = number,
                _ => return Err(format!("there is no failure switch \"{key}\"")),
            }
        }
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
        Ok(self.show())
    }

    pub async fn strike(&self) -> Result<(), &'static str> {
        let now = *self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        if now.leak_bytes > 0.0 {
            let bytes = vec![1; now.leak_bytes as usize];
            self.leaked.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
        }
        if now.slow_ms > 0.0 && random() < now.slow_ratio {
            tokio::time::sleep(Duration::from_secs_f64(now.slow_ms / 1000.0)).await;
        }
        if random() < now.error_ratio { Err("a failure switch is on") } else { Ok(()) }
    }
}

/// Returns a number from 0 up to 1: each hasher is seeded anew.
fn random() -> f64 {
    (RandomState::new().hash_one(0) >> 11) as f64 / (1_u64 << 53) as f64
}
