//! Rule files and the files that test them.

mod file;
mod place;
mod template;
mod unit_test;

pub use file::{Group, Rule, RuleFile, RuleKind, read_groups, read_rules, read_rules_with};
pub use template::{
    RuleText, TemplateData, TemplateQuery, TemplateWorld, expand_all, functions, humanize, humanize_duration,
    table_link,
};
pub use unit_test::{
    AlertTest, ExpectedAlert, ExpectedSample, ExpressionTest, InputSeries, RuleTest, RuleTestFile, read_rule_tests,
};
