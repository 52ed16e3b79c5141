//! The functions of the language: what they take and give.

use super::types::Type;
use Type::{Matrix, Scalar, String as Text, Vector};

/// A function's signature.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// How it is called.
    pub name: &'static str,
    /// The types of its arguments; with `variadic` the last may be absent or repeated.
    pub arguments: &'static [Type],
    /// 0: all arguments are there; n: the last up to n times or not at all; -1: any number of times.
    pub variadic: i32,
    /// What it gives.
    pub returns: Type,
    /// Must be switched on.
    pub is_experimental: bool,
    /// One line for people.
    pub summary: &'static str,
}

impl Function {
    /// Returns the function called `name`, which is in small letters.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        let index = FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok()?;
        FUNCTIONS.get(index)
    }

    /// Returns how many arguments it takes at least.
    #[must_use]
    pub fn arguments_min(&self) -> usize {
        if self.variadic == 0 { self.arguments.len() } else { self.arguments.len().saturating_sub(1) }
    }

    /// Returns how many arguments it takes at most; `None`: any number.
    #[must_use]
    pub fn arguments_max(&self) -> Option<usize> {
        match self.variadic {
            0 => Some(self.arguments.len()),
            more => Some(self.arguments_min() + usize::try_from(more).ok()?),
        }
    }

    /// Returns the type of argument `index`.
    #[must_use]
    pub fn argument(&self, index: usize) -> Option<Type> {
        let last = self.arguments.len().checked_sub(1)?;
        if index > last && self.variadic == 0 {
            return None;
        }
        self.arguments.get(index.min(last)).copied()
    }
}

/// A stable function with as many arguments as are named.
const fn plain(name: &'static str, arguments: &'static [Type], returns: Type, summary: &'static str) -> Function {
    Function { name, arguments, variadic: 0, returns, is_experimental: false, summary }
}

const fn variadic(count: i32, function: Function) -> Function {
    Function { variadic: count, ..function }
}

const fn experimental(function: Function) -> Function {
    Function { is_experimental: true, ..function }
}

/// A function of the time, by default of the evaluation's.
const fn calendar(name: &'static str, summary: &'static str) -> Function {
    variadic(1, plain(name, &[Vector], Vector, summary))
}

/// All functions in the order of their names.
pub static FUNCTIONS: &[Function] = &[
    plain("abs", &[Vector], Vector, "the value without its sign"),
    plain("absent", &[Vector], Vector, "1 when the vector is empty, else nothing"),
    plain("absent_over_time", &[Matrix], Vector, "1 when no series has a sample in the window, else nothing"),
    plain("acos", &[Vector], Vector, "arc cosine"),
    plain("acosh", &[Vector], Vector, "inverse hyperbolic cosine"),
    plain("asin", &[Vector], Vector, "arc sine"),
    plain("asinh", &[Vector], Vector, "inverse hyperbolic sine"),
    plain("atan", &[Vector], Vector, "arc tangent"),
    plain("atanh", &[Vector], Vector, "inverse hyperbolic tangent"),
    plain("avg_over_time", &[Matrix], Vector, "the mean of the window's samples"),
    plain("ceil", &[Vector], Vector, "rounded up to a whole number"),
    plain("changes", &[Matrix], Vector, "how often the value changed in the window"),
    plain("clamp", &[Vector, Scalar, Scalar], Vector, "the value held between a minimum and a maximum"),
    plain("clamp_max", &[Vector, Scalar], Vector, "the value, at most the maximum"),
    plain("clamp_min", &[Vector, Scalar], Vector, "the value, at least the minimum"),
    plain("cos", &[Vector], Vector, "cosine"),
    plain("cosh", &[Vector], Vector, "hyperbolic cosine"),
    plain("count_over_time", &[Matrix], Vector, "how many samples the window holds"),
    calendar("day_of_month", "day of the month, 1 to 31, in UTC"),
    calendar("day_of_week", "day of the week, 0 is Sunday, in UTC"),
    calendar("day_of_year", "day of the year, 1 to 366, in UTC"),
    calendar("days_in_month", "how many days the month has, in UTC"),
    plain("deg", &[Vector], Vector, "radians to degrees"),
    plain("delta", &[Matrix], Vector, "how much a gauge changed over the window, extrapolated to its edges"),
    plain("deriv", &[Matrix], Vector, "change of a gauge each second, by linear regression"),
    experimental(plain(
        "double_exponential_smoothing",
        &[Matrix, Scalar, Scalar],
        Vector,
        "a gauge smoothed by a smoothing and a trend factor",
    )),
    experimental(plain("end", &[], Scalar, "the query's last moment in seconds since 1970")),
    plain("exp", &[Vector], Vector, "e to the power of the value"),
    plain("first_over_time", &[Matrix], Vector, "the window's oldest sample"),
    plain("floor", &[Vector], Vector, "rounded down to a whole number"),
    plain("histogram_avg", &[Vector], Vector, "the mean of a native histogram's observations"),
    plain("histogram_count", &[Vector], Vector, "the count of a native histogram's observations"),
    plain("histogram_fraction", &[Scalar, Scalar, Vector], Vector, "the share of observations between two bounds"),
    plain("histogram_quantile", &[Scalar, Vector], Vector, "the quantile (0 to 1) of a histogram's observations"),
    experimental(variadic(
        9,
        plain(
            "histogram_quantiles",
            &[Vector, Text, Scalar, Scalar],
            Vector,
            "several quantiles of a histogram at once, told apart by a label",
        ),
    )),
    plain("histogram_stddev", &[Vector], Vector, "the standard deviation of a native histogram's observations"),
    plain("histogram_stdvar", &[Vector], Vector, "the variance of a native histogram's observations"),
    plain("histogram_sum", &[Vector], Vector, "the sum of a native histogram's observations"),
    calendar("hour", "hour of the day, 0 to 23, in UTC"),
    plain("idelta", &[Matrix], Vector, "difference of the window's last two samples"),
    plain("increase", &[Matrix], Vector, "how much a counter grew over the window, resets left out"),
    experimental(variadic(
        1,
        plain("info", &[Vector, Vector], Vector, "adds the labels of info metrics such as target_info"),
    )),
    plain("irate", &[Matrix], Vector, "growth of a counter each second, from the window's last two samples"),
    variadic(
        -1,
        plain("label_join", &[Vector, Text, Text, Text], Vector, "sets a label to the values of others, joined"),
    ),
    plain(
        "label_replace",
        &[Vector, Text, Text, Text, Text],
        Vector,
        "sets a label from another one's value by a regular expression",
    ),
    plain("last_over_time", &[Matrix], Vector, "the window's latest sample"),
    plain("ln", &[Vector], Vector, "natural logarithm"),
    plain("log10", &[Vector], Vector, "logarithm to base 10"),
    plain("log2", &[Vector], Vector, "logarithm to base 2"),
    experimental(plain("mad_over_time", &[Matrix], Vector, "the median of the absolute deviations from the median")),
    experimental(plain("max_of", &[Scalar, Scalar], Scalar, "the larger of two numbers")),
    plain("max_over_time", &[Matrix], Vector, "the largest of the window's samples"),
    experimental(plain("min_of", &[Scalar, Scalar], Scalar, "the smaller of two numbers")),
    plain("min_over_time", &[Matrix], Vector, "the smallest of the window's samples"),
    calendar("minute", "minute of the hour, 0 to 59, in UTC"),
    calendar("month", "month of the year, 1 to 12, in UTC"),
    plain("pi", &[], Scalar, "the number pi"),
    plain(
        "predict_linear",
        &[Matrix, Scalar],
        Vector,
        "a gauge's value so many seconds from now, by linear regression",
    ),
    plain("present_over_time", &[Matrix], Vector, "1 for each series with a sample in the window"),
    plain("quantile_over_time", &[Scalar, Matrix], Vector, "the quantile (0 to 1) of the window's samples"),
    plain("rad", &[Vector], Vector, "degrees to radians"),
    experimental(plain("range", &[], Scalar, "the time between the query's start and end in seconds")),
    plain("rate", &[Matrix], Vector, "growth of a counter each second over the window, resets left out"),
    plain("resets", &[Matrix], Vector, "how often a counter started again in the window"),
    variadic(1, plain("round", &[Vector, Scalar], Vector, "rounded to the nearest multiple, by default of 1")),
    plain("scalar", &[Vector], Scalar, "the value of the vector's only series, else NaN"),
    plain("sgn", &[Vector], Vector, "the value's sign: 1, 0 or -1"),
    plain("sin", &[Vector], Vector, "sine"),
    plain("sinh", &[Vector], Vector, "hyperbolic sine"),
    plain("sort", &[Vector], Vector, "in the order of values, smallest first"),
    experimental(variadic(-1, plain("sort_by_label", &[Vector, Text], Vector, "in the order of labels"))),
    experimental(variadic(
        -1,
        plain("sort_by_label_desc", &[Vector, Text], Vector, "in the order of labels, backwards"),
    )),
    plain("sort_desc", &[Vector], Vector, "in the order of values, largest first"),
    plain("sqrt", &[Vector], Vector, "square root"),
    experimental(plain("start", &[], Scalar, "the query's first moment in seconds since 1970")),
    experimental(plain("start_timestamp", &[Vector], Vector, "when the counter behind the sample started")),
    plain("stddev_over_time", &[Matrix], Vector, "the standard deviation of the window's samples"),
    plain("stdvar_over_time", &[Matrix], Vector, "the variance of the window's samples"),
    experimental(plain("step", &[], Scalar, "the query's step in seconds")),
    plain("sum_over_time", &[Matrix], Vector, "the sum of the window's samples"),
    plain("tan", &[Vector], Vector, "tangent"),
    plain("tanh", &[Vector], Vector, "hyperbolic tangent"),
    plain("time", &[], Scalar, "the evaluation's moment in seconds since 1970"),
    plain("timestamp", &[Vector], Vector, "when the sample was taken, in seconds since 1970"),
    experimental(plain("ts_of_first_over_time", &[Matrix], Vector, "when the window's oldest sample was taken")),
    experimental(plain("ts_of_last_over_time", &[Matrix], Vector, "when the window's latest sample was taken")),
    experimental(plain("ts_of_max_over_time", &[Matrix], Vector, "when the window's largest sample was taken")),
    experimental(plain("ts_of_min_over_time", &[Matrix], Vector, "when the window's smallest sample was taken")),
    plain("vector", &[Scalar], Vector, "the number as a vector without labels"),
    calendar("year", "year in UTC"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_each_function_is_found() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
        for function in FUNCTIONS {
            assert_eq!(Function::named(function.name), Some(function));
        }
        assert_eq!(Function::named("rates"), None);
    }

    #[test]
    fn arity_follows_the_variadic_count() {
        let arity = |name| Function::named(name).map(|f| (f.arguments_min(), f.arguments_max())).unwrap();
        assert_eq!(arity("rate"), (1, Some(1)));
        assert_eq!(arity("hour"), (0, Some(1)));
        assert_eq!(arity("round"), (1, Some(2)));
        assert_eq!(arity("label_join"), (3, None));
        assert_eq!(arity("sort_by_label"), (1, None));
        assert_eq!(arity("histogram_quantiles"), (3, Some(12)));
        assert_eq!(arity("time"), (0, Some(0)));
    }
}
