//! Functions by name, given by the caller.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::value::Value;

/// A function that templates call.
pub type Function = Arc<dyn Fn(&[Value]) -> Result<Value, String> + Send + Sync>;

/// Functions by name. Those of all templates (`len`, `printf`, `eq` …) are always there.
#[derive(Clone, Default)]
pub struct Functions(BTreeMap<&'static str, Function>);

impl Functions {
    /// Adds a function, or puts another in its place.
    pub fn add(
        &mut self,
        name: &'static str,
        function: impl Fn(&[Value]) -> Result<Value, String> + Send + Sync + 'static,
    ) {
        self.0.insert(name, Arc::new(function));
    }

    /// Returns a function.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Function> {
        self.0.get(name)
    }

    /// Tells whether templates may call it.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.0.contains_key(name) || crate::builtin::NAMES.contains(&name)
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.0.keys()).finish()
    }
}
