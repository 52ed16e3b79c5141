//! Functions, operators and selectors one by one, in the language of the test scripts.

use crate::promqltest::run::run;
use crate::promqltest::script::parse;
use crate::scripts::InProcess;

fn check(script: &str) {
    let report = run("own", &parse(script), false, &mut InProcess::new());
    let passed = report.stable.1 + report.experimental.1;
    assert!(report.failures.is_empty() && passed > 0, "{:#?}", report.failures);
}

#[test]
fn ranges_are_open_at_the_left_and_closed_at_the_right() {
    check(
        r#"
load 1m
    m 0 1 2 3 4 5

eval instant at 5m count_over_time(m[5m])
    {} 5

eval instant at 5m count_over_time(m[1m])
    {} 1

eval instant at 5m first_over_time(m[2m])
    m 4

eval instant at 5m30s last_over_time(m[30s])

eval instant at 5m30s last_over_time(m[31s])
    m 5

eval instant at 5m m[2m]
    expect range vector from 4m to 5m step 1m
    m 4 5
"#,
    );
}

#[test]
fn instant_selectors_look_back_less_than_five_minutes() {
    check(
        r#"
load 1m
    m 7 _ _ _ _ _ 8
    ended 1 2 stale

eval instant at 4m59s999ms m
    m 7

eval instant at 5m m

eval instant at 6m m
    m 8

eval instant at 1m59s ended
    ended 2

eval instant at 2m ended

eval instant at 3m ended

eval instant at 3m count_over_time(ended[3m])
    {} 1

eval range from 0 to 8m step 1m m
    m 7 7 7 7 7 _ 8 8 8
"#,
    );
}

#[test]
fn offset_and_at_move_where_a_selector_looks() {
    check(
        r#"
load 1m
    m 0+1x20

eval instant at 10m m offset 3m
    m 7

eval instant at 10m m offset -3m
    m 13

eval instant at 10m m @ 120
    m 2

eval instant at 10m m @ 300 offset 2m
    m 3

eval instant at 10m sum_over_time(m[3m] @ 300 offset 1m)
    {} 9

eval range from 5m to 9m step 2m m @ start() + m @ end()
    {} 14 14 14

eval range from 5m to 9m step 2m m - m @ 180
    {} 2 4 6

eval range from 5m to 9m step 2m timestamp(m @ 180)
    {} 180 180 180

eval instant at 10m max_over_time(m[4m:1m] offset 2m)
    {} 8

eval instant at 10m max_over_time(m[4m:1m] @ 240)
    {} 4
"#,
    );
}

#[test]
fn subqueries_stand_on_multiples_of_their_step() {
    check(
        r#"
load 10s
    m 0+1x100

eval instant at 125s count_over_time(m[60s:20s])
    {} 3

eval instant at 120s count_over_time(m[60s:20s])
    {} 3

eval instant at 120s sum_over_time(m[60s:20s])
    {} 30

eval instant at 500s count_over_time(m[5m:])
    {} 5

eval instant at 300s avg_over_time(rate(m[30s])[1m:10s])
    {} 0.1

eval instant at 125s sum_over_time(vector(time())[60s:20s])
    {} 300

eval instant at 300s max_over_time(sum_over_time(m[20s:10s])[30s:10s])
    {} 59
"#,
    );
}

#[test]
fn rates_are_extrapolated_but_not_below_zero() {
    check(
        r#"
load 10s
    c_total 100 110 120 130 140 150 160
    young_total _ _ _ 1 11 21 31
    fell_total 10 20 30 5 15 25 35
    gauge 50 40 30 20 10 0 -10
    one_total _ _ 5

# The window ends with the samples, and begins 10 s before the first: extrapolated by all of it.
eval instant at 60s increase(c_total[60s])
    {} 60

eval instant at 60s rate(c_total[60s])
    {} 1

# Samples begin more than 1.1 times their distance behind the edge: half a distance is added, or what leads to zero.
eval instant at 60s increase(young_total[60s])
    {} 31

eval instant at 60s increase(fell_total[60s])
    {} 54

eval instant at 60s delta(gauge[60s])
    {} -60

eval instant at 60s irate(c_total[60s])
    {} 1

eval instant at 30s irate(fell_total[30s])
    {} 0.5

eval instant at 30s idelta(fell_total[30s])
    {} -25

eval instant at 60s rate(one_total[60s])

eval instant at 60s resets(fell_total[1m])
    {} 1

eval instant at 60s changes(fell_total[1m])
    {} 5

eval instant at 60s rate(gauge[60s])
    expect info msg: PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "gauge" (1:6)
    {} 1
"#,
    );
}

#[test]
fn functions_over_windows_of_floats() {
    check(
        r#"
load 10s
    m 4 2 NaN 8 2 6
    whole 1 2 3 4 5 6
    flat 3 3 3 3 3 3
    endless Inf 1 2 3 4 5

eval instant at 50s sum_over_time(whole[1m])
    {} 21

eval instant at 50s avg_over_time(whole[1m])
    {} 3.5

eval instant at 50s min_over_time(m[1m])
    {} 2

eval instant at 50s max_over_time(m[1m])
    {} 8

eval instant at 20s max_over_time(m[10s])
    {} NaN

eval instant at 50s stdvar_over_time(whole[1m])
    {} 2.9166666666666665

eval instant at 50s stddev_over_time(whole[1m])
    {} 1.707825127659933

eval instant at 50s quantile_over_time(0.25, whole[1m])
    {} 2.25

eval instant at 50s quantile_over_time(2, whole[1m])
    expect warn msg: PromQL warning: quantile value should be between 0 and 1, got 2 (1:20)
    {} +Inf

eval instant at 50s quantile_over_time(-1, whole[1m])
    expect warn
    {} -Inf

eval instant at 50s mad_over_time(whole[1m])
    {} 1.5

eval instant at 50s present_over_time(m[1m])
    {} 1

eval instant at 50s ts_of_max_over_time(m[1m])
    {} 30

eval instant at 50s ts_of_min_over_time(m[1m])
    {} 40

eval instant at 50s ts_of_first_over_time(m[1m])
    {} 0

eval instant at 50s ts_of_last_over_time(m[1m])
    {} 50

eval instant at 50s deriv(whole[1m])
    {} 0.1

eval instant at 50s deriv(flat[1m])
    {} 0

eval instant at 50s predict_linear(whole[1m], 100)
    {} 16

eval instant at 50s double_exponential_smoothing(whole[1m], 0.5, 0.5)
    {} 6

eval instant at 50s double_exponential_smoothing(whole[1m], 1, 0.5)
    expect fail

eval instant at 50s avg_over_time(endless[1m])
    {} +Inf

eval range from 0 to 50s step 10s max_over_time(whole[30s])
    {} 1 2 3 4 5 6

eval range from 0 to 50s step 10s sum_over_time(whole[30s])
    {} 1 3 6 9 12 15

eval range from 0 to 50s step 10s quantile_over_time(0.5, whole[30s])
    {} 1 1.5 2 3 4 5
"#,
    );
}

#[test]
fn sums_and_means_keep_what_rounding_would_take() {
    check(
        r#"
load 10s
    m 1 1e100 1 -1e100
    v{a="1"} 1
    v{a="2"} 1e100
    v{a="3"} 1
    v{a="4"} -1e100
    big{a="1"} 1.7e308
    big{a="2"} 1.7e308
    big{a="3"} 1.7e308

eval instant at 30s sum_over_time(m[1m])
    {} 2

eval instant at 30s avg_over_time(m[1m])
    {} 0.5

eval instant at 0 sum(v)
    {} 2

eval instant at 0 avg(v)
    {} 0.5

eval instant at 0 sum(big)
    {} +Inf

eval instant at 0 avg(big)
    {} 1.7e308
"#,
    );
}

#[test]
fn aggregations_group_by_and_without() {
    check(
        r#"
load 1m
    m{job="a", x="1"} 1
    m{job="a", x="2"} 3
    m{job="b", x="1"} 5
    m{x="3"} NaN

eval instant at 0 sum by (job) (m)
    {job="a"} 4
    {job="b"} 5
    {} NaN

eval instant at 0 sum without (x) (m)
    {job="a"} 4
    {job="b"} 5
    {} NaN

eval instant at 0 count(m)
    {} 4

eval instant at 0 group by (x) (m)
    {x="1"} 1
    {x="2"} 1
    {x="3"} 1

eval instant at 0 min(m)
    {} 1

eval instant at 0 max(m)
    {} 5

eval instant at 0 stdvar by (job) (m{job="a"})
    {job="a"} 1

eval instant at 0 quantile(0.5, m{job=~".+"})
    {} 3

eval instant at 0 quantile(NaN, m)
    expect warn
    {} NaN

eval instant at 0 topk(2, m)
    expect ordered
    m{job="b", x="1"} 5
    m{job="a", x="2"} 3

eval instant at 0 bottomk(2, m)
    expect ordered
    m{job="a", x="1"} 1
    m{job="a", x="2"} 3

eval instant at 0 topk by (job) (1, m)
    m{job="a", x="2"} 3
    m{job="b", x="1"} 5
    m{x="3"} NaN

eval instant at 0 topk(NaN, m)
    expect fail

eval instant at 0 topk(0, m)

eval instant at 0 count_values("value", m)
    {value="1"} 1
    {value="3"} 1
    {value="5"} 1
    {value="NaN"} 1

eval instant at 0 count(limitk(2, m))
    {} 2

eval instant at 0 sum by (nothing) (missing)
"#,
    );
}

/// More series than one thread adds up in one go.
#[test]
fn large_groups_of_histograms_are_the_sum_of_their_parts() {
    use std::fmt::Write as _;

    let mut script = "load 1m\n".to_owned();
    for series in 0..300 {
        let (sum, first) = (series % 7, series % 5);
        writeln!(script, "    m{{i=\"{series}\"}} {{{{schema:0 sum:{sum} count:{} buckets:[{first} 2]}}}}", first + 2)
            .unwrap();
        writeln!(script, "    f{{i=\"{series}\"}} {{{{schema:0 sum:1 count:1 buckets:[1]}}}}").unwrap();
    }
    // Custom buckets and others do not go together, wherever in a group they stand.
    script.push_str("    f{i=\"999\"} {{schema:-53 sum:1 count:1 custom_values:[5] buckets:[1]}}\n");
    let sums: u32 = (0..300).map(|series| series % 7).sum();
    let firsts: u32 = (0..300).map(|series| series % 5).sum();
    write!(
        script,
        r#"
eval instant at 0m sum(m)
    {{}} {{{{schema:0 sum:{sums} count:{} buckets:[{firsts} 600]}}}}

eval instant at 0m avg(m)
    {{}} {{{{schema:0 sum:{} count:{} buckets:[{} 2]}}}}

eval instant at 0m histogram_count(sum(m))
    {{}} {}

eval instant at 0m sum(f)
    expect warn
"#,
        firsts + 600,
        f64::from(sums) / 300.0,
        f64::from(firsts) / 300.0 + 2.0,
        f64::from(firsts) / 300.0,
        firsts + 600,
    )
    .unwrap();
    check(&script);
}

#[test]
fn vectors_match_by_labels() {
    check(
        r#"
load 1m
    left{job="a", x="1"} 10
    left{job="a", x="2"} 20
    left{job="b", x="1"} 30
    right{job="a", team="red"} 2
    right{job="b", team="blue"} 3
    twice{job="a", y="1"} 1
    twice{job="a", y="2"} 1

eval instant at 0 left * on (job) group_left (team) right
    {job="a", x="1", team="red"} 20
    {job="a", x="2", team="red"} 40
    {job="b", x="1", team="blue"} 90

eval instant at 0 right * on (job) group_right (team) left
    {job="a", x="1", team="red"} 20
    {job="a", x="2", team="red"} 40
    {job="b", x="1", team="blue"} 90

eval instant at 0 left * on (job) right
    expect fail msg: multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)

eval instant at 0 right * on (job) twice
    expect fail msg: found duplicate series for the match group {job="a"} on the right hand-side of the operation: [{__name__="twice", job="a", y="1"}, {__name__="twice", job="a", y="2"}];many-to-many matching not allowed: matching labels must be unique on one side

eval instant at 0 left > on (job) group_left () (right * 6)
    left{job="a", x="2"} 20
    left{job="b", x="1"} 30

eval instant at 0 left > bool 15
    {job="a", x="1"} 0
    {job="a", x="2"} 1
    {job="b", x="1"} 1

eval instant at 0 15 < left
    left{job="a", x="2"} 20
    left{job="b", x="1"} 30

eval instant at 0 left and on (job) right{job="a"}
    left{job="a", x="1"} 10
    left{job="a", x="2"} 20

eval instant at 0 left unless on (job) right{job="a"}
    left{job="b", x="1"} 30

eval instant at 0 right or on (job) left
    right{job="a", team="red"} 2
    right{job="b", team="blue"} 3

eval instant at 0 right{job="a"} or on (job) left
    right{job="a", team="red"} 2
    left{job="b", x="1"} 30

eval instant at 0 left ^ 2 % 7
    {job="a", x="1"} 2
    {job="a", x="2"} 1
    {job="b", x="1"} 4
"#,
    );
}

#[test]
fn sets_are_made_step_by_step() {
    check(
        r#"
load 1m
    a{x="1"} 1 stale 3 4
    b{x="1"} 9 8 stale 6

eval range from 0 to 3m step 1m a or b
    a{x="1"} 1 _ 3 4
    b{x="1"} _ 8

eval range from 0 to 3m step 1m a and b
    a{x="1"} 1 _ _ 4

eval range from 0 to 3m step 1m a unless b
    a{x="1"} _ _ 3

eval range from 0 to 3m step 1m -a or -b
    {x="1"} -1 -8 -3 -4
"#,
    );
}

#[test]
fn functions_of_floats_leave_histograms_and_names_out() {
    check(
        r#"
load 1m
    m{x="1"} -1.5
    m{x="2"} 2.5
    m{x="h"} {{schema:0 count:1 sum:1 buckets:[1]}}

eval instant at 0 abs(m)
    {x="1"} 1.5
    {x="2"} 2.5

eval instant at 0 ceil(m)
    {x="1"} -1
    {x="2"} 3

eval instant at 0 round(m)
    {x="1"} -1
    {x="2"} 3

eval instant at 0 round(m, 0.2)
    {x="1"} -1.4
    {x="2"} 2.6

eval instant at 0 sgn(m)
    {x="1"} -1
    {x="2"} 1

eval instant at 0 clamp(m, -1, 1)
    {x="1"} -1
    {x="2"} 1

eval instant at 0 clamp(m, 1, -1)

eval instant at 0 clamp_max(m, 0)
    {x="1"} -1.5
    {x="2"} 0

eval instant at 0 sqrt(m)
    {x="1"} NaN
    {x="2"} 1.5811388300841898

eval instant at 0 -m{x=~"[12]"}
    {x="1"} 1.5
    {x="2"} -2.5

eval instant at 0 +m{x="1"}
    m{x="1"} -1.5

eval instant at 0 deg(vector(pi()))
    {} 180

eval instant at 0 1 atan2 1
    0.7853981633974483

eval instant at 0 scalar(m{x="1"})
    -1.5

eval instant at 0 scalar(m)
    NaN

eval instant at 0 vector(1) + 1
    {} 2

eval instant at 0 1 > bool 2
    0
"#,
    );
}

#[test]
fn absence_names_what_is_sought() {
    check(
        r#"
load 1m
    m{x="1"} 1 stale 3

eval instant at 0 absent(m)

eval instant at 0 absent(m{x="2", y=~"z", job="api"})
    {x="2", job="api"} 1

eval instant at 0 absent(sum(missing))
    {} 1

eval instant at 0 absent(missing{x="1", x="2"})
    {} 1

eval range from 0 to 2m step 1m absent(m)
    {} _ 1

eval range from 0 to 4m step 1m absent_over_time(m{x="1"}[1m])
    {x="1"} _ 1 _ 1 1
"#,
    );
}

#[test]
fn labels_are_replaced_and_joined() {
    check(
        r#"
load 1m
    m{host="web-1:80", job="a"} 1
    m{host="web-2:80", job="b"} 2

eval instant at 0 label_replace(m, "node", "n$1", "host", "web-(\\d+):.*")
    m{host="web-1:80", job="a", node="n1"} 1
    m{host="web-2:80", job="b", node="n2"} 2

eval instant at 0 label_replace(m, "node", "x", "host", "no")
    m{host="web-1:80", job="a"} 1
    m{host="web-2:80", job="b"} 2

eval instant at 0 label_replace(m, "host", "", "host", ".*")
    m{job="a"} 1
    m{job="b"} 2

eval instant at 0 sum by (x) (label_replace(label_replace(m, "host", "", "", ""), "job", "", "", ""))
    expect fail msg: vector cannot contain metrics with the same labelset

eval instant at 0 label_replace(m, "x", "${name}-$2", "host", "(?P<name>[a-z]+)-(.).*")
    m{host="web-1:80", job="a", x="web-1"} 1
    m{host="web-2:80", job="b", x="web-2"} 2

eval instant at 0 label_join(m, "all", "/", "job", "host", "none")
    m{host="web-1:80", job="a", all="a/web-1:80/"} 1
    m{host="web-2:80", job="b", all="b/web-2:80/"} 2

eval instant at 0 label_replace(m, "x", "", "host", "(")
    expect fail
"#,
    );
}

#[test]
fn order_is_by_value_or_by_label_as_people_count() {
    check(
        r#"
load 1m
    m{host="n10"} 2
    m{host="n9"} NaN
    m{host="n2"} 7

eval instant at 0 sort(m)
    expect ordered
    m{host="n10"} 2
    m{host="n2"} 7
    m{host="n9"} NaN

eval instant at 0 sort_desc(m)
    expect ordered
    m{host="n2"} 7
    m{host="n10"} 2
    m{host="n9"} NaN

eval instant at 0 sort_by_label(m, "host")
    expect ordered
    m{host="n2"} 7
    m{host="n9"} NaN
    m{host="n10"} 2

eval range from 0 to 1m step 1m sort(m)
    expect warn msg: PromQL warning: sort is ineffective for range queries since results are always ordered by labels (1:1)
    m{host="n10"} 2 2
    m{host="n2"} 7 7
    m{host="n9"} NaN NaN
"#,
    );
}

#[test]
fn dates_are_those_of_utc() {
    check(
        r#"
eval instant at 0 year(vector(1709210096))
    {} 2024

eval instant at 0 month(vector(1709210096))
    {} 2

eval instant at 0 day_of_month(vector(1709210096))
    {} 29

eval instant at 0 day_of_year(vector(1709210096))
    {} 60

eval instant at 0 day_of_week(vector(1709210096))
    {} 4

eval instant at 0 days_in_month(vector(1709210096))
    {} 29

eval instant at 0 days_in_month(vector(-2203977600))
    {} 28

eval instant at 0 hour(vector(1709210096))
    {} 12

eval instant at 0 minute(vector(1709210096))
    {} 34

eval instant at 0 year(vector(-1))
    {} 1969

eval range from 0 to 2h step 1h hour()
    {} 0 1 2
"#,
    );
}

#[test]
fn moments_of_the_query_are_known() {
    check(
        r#"
load 1m
    m 1+1x10

eval range from 1m to 3m step 1m time()
    {} 60 120 180

eval range from 1m to 3m step 1m m * step() + range()
    {} 240 300 360

eval range from 1m to 3m step 1m m + 0 * start() + end()
    {} 182 183 184

eval instant at 90s timestamp(m)
    {} 60

eval instant at 90s timestamp(m + 0)
    {} 90

eval instant at 3m sum_over_time(m[max_of(step(), 2m)])
    {} 7

eval instant at 3m m offset -(30s * 2)
    m 5
"#,
    );
}

#[test]
fn info_adds_labels_of_the_target() {
    check(
        r#"
load 1m
    m{instance="i", job="j"} 1 2 3
    target_info{instance="i", job="j", version="1"} 1 1 stale
    target_info{instance="i", job="j", version="2"} _ _ 1
    build_info{instance="i", job="j", branch="main"} 1 1 1

eval range from 0 to 2m step 1m info(m)
    m{instance="i", job="j", version="1"} 1 2
    m{instance="i", job="j", version="2"} _ _ 3

eval instant at 0 info(m, {__name__="build_info"})
    m{instance="i", job="j", branch="main"} 1

eval instant at 0 info(m, {version=~".+"})
    m{instance="i", job="j", version="1"} 1

eval instant at 0 info(m, {nothing=~".+"})
"#,
    );
}
