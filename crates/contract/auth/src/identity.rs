//! Who a request is from.

use std::collections::BTreeMap;

/// Who a request is from; in the extensions of an authenticated request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user's name.
    pub user: String,
    /// The user's unique id, where the authenticator knows one.
    pub uid: Option<String>,
    /// The groups that the user is in.
    pub groups: Vec<String>,
    /// What else the authenticator says, as in `UserInfo.extra`.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Identity {
    /// Members of this group may do everything; nothing is looked up.
    pub const MASTERS: &'static str = "system:masters";
    /// The group of all that have authenticated.
    pub const AUTHENTICATED: &'static str = "system:authenticated";
    /// The group of all that have not.
    pub const UNAUTHENTICATED: &'static str = "system:unauthenticated";

    /// Returns the identity of an authenticated user in the given groups (and in `system:authenticated`).
    #[must_use]
    pub fn new(user: &str, groups: &[&str]) -> Self {
        let mut groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        groups.push(Self::AUTHENTICATED.to_owned());
        Self { user: user.to_owned(), uid: None, groups, extra: BTreeMap::new() }
    }

    /// Returns the identity of a caller that showed no credentials.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            user: "system:anonymous".to_owned(),
            uid: None,
            groups: vec![Self::UNAUTHENTICATED.to_owned()],
            extra: BTreeMap::new(),
        }
    }

    /// Returns the identity of a service account.
    #[must_use]
    pub fn service_account(namespace: &str, name: &str, uid: Option<&str>) -> Self {
        let namespace_group = format!("system:serviceaccounts:{namespace}");
        let mut identity = Self::new(
            &format!("system:serviceaccount:{namespace}:{name}"),
            &["system:serviceaccounts", namespace_group.as_str()],
        );
        identity.uid = uid.map(str::to_owned);
        identity
    }
}
