//! The binary: reads flags, checks the machine, wires the rooms, starts and stops them in order.

mod acceptance;
mod alerts;
mod analyze;
mod arguments;
mod board;
mod client;
mod console;
mod demo;
mod detach;
mod down;
mod export;
mod image;
mod import;
mod init;
mod install;
mod instance;
mod kubeconfig;
mod metrics;
mod model;
mod preflight;
mod project;
mod report;
mod requirements;
mod rules;
mod settings;
mod slo;
mod source;
mod spine;
mod stages;
mod up;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use maru_telemetry::LogFormat;

use crate::arguments::{Arguments, Command, ReqCommand};
use crate::report::Report;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    // Shims and container helpers must do their work before any thread exists.
    if let Some(code) = maru_container::helper_main(&words) {
        return code;
    }
    // No thread exists yet. More heaps than cores only hold memory that nobody uses.
    let cores = std::thread::available_parallelism().map_or(2, |cores| u8::try_from(cores.get()).unwrap_or(u8::MAX));
    maru_sys::bound_heaps(cores.max(2));
    let arguments = Arguments::parse();
    let format = match &arguments.command {
        Command::Up(up) if up.log_json => LogFormat::Json,
        Command::Metrics(metrics) if metrics.serve.log_json => LogFormat::Json,
        Command::Alerts(alerts) if alerts.serve.log_json => LogFormat::Json,
        _ => LogFormat::Text,
    };
    // The client's own lines would repeat what the command says.
    let serves = match &arguments.command {
        Command::Up(_) => true,
        Command::Metrics(metrics) => metrics.command.is_none(),
        Command::Alerts(alerts) => alerts.command.is_none(),
        _ => false,
    };
    let default_filter = if serves { "info" } else { "warn,kube_client=off" };
    maru_telemetry::init_logs(arguments.global.log.as_deref().unwrap_or(default_filter), format);
    // The one provider of cryptography; an error means that it is set already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let report = Report::new(arguments.global.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            report.error(&anyhow::Error::from(error).context("the asynchronous runtime does not start"));
            return ExitCode::FAILURE;
        }
    };
    let code = match runtime.block_on(run(arguments, report)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            report.error(&error);
            ExitCode::FAILURE
        }
    };
    // Blocking work that is still under way (a read of standard input) must not hold the exit up.
    runtime.shutdown_background();
    code
}

async fn run(arguments: Arguments, report: Report) -> anyhow::Result<u8> {
    let global = &arguments.global;
    match arguments.command {
        Command::Up(up) if up.detach => detach::start(global, &up, report).await,
        Command::Up(up) => up::run(global, &up, report).await,
        Command::Down(down) => down::run(global, &down, report).await,
        Command::Doctor(up) => up::doctor(global, &up, report),
        Command::Kubeconfig => client::print_kubeconfig(global, report),
        Command::Image(image) => image::run(global, image, report).await,
        Command::Metrics(metrics) => metrics::run(global, *metrics, report).await,
        Command::Alerts(alerts) => alerts::run(global, *alerts, report).await,
        Command::Console(command) => console::run(global, &command, report),
        Command::Demo(demo) => demo::run(global, &demo, report).await,
        Command::Req(ReqCommand::Project(command)) => spine::requirements(global, command, report).await,
        Command::Req(ReqCommand::Apply(arguments)) => import::run(global, &arguments, report).await,
        Command::Req(ReqCommand::Folder(command)) => requirements::run(command, global.json, report).await,
        Command::Model(command) => model::run(&command, report),
        Command::Slo(command) => slo::run(global, command, report).await,
        Command::Analyze(arguments) => Ok(analyze::run(global, *arguments, report).await),
        Command::Evidence(command) => spine::evidence(global, command, report).await,
        Command::Project(command) => project::run(global, command, report).await,
        Command::Export(arguments) => export::run(global, arguments, report).await,
        Command::Client(command) => client::run(global, command, report).await,
    }
}
