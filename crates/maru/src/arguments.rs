//! What the binary can be told on its command line.
//!
//! Long because it is one list of commands and flags, read from top to bottom.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The whole cloud-native way of working in one binary.
#[derive(Debug, Parser)]
#[command(name = "maru", version, about, arg_required_else_help = true, max_term_width = 100)]
#[command(
    after_help = "Examples:\n  sudo maru up                         start on this machine; Ctrl-C stops Maru, not the pods\n  sudo maru up --detach                start in the background\n  maru apply -f app.yaml && maru get pods\n  sudo maru image build -t shop/web . build an image from a Dockerfile\n  sudo maru down                       stop everything, keep the data"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: GlobalArguments,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What holds for every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct GlobalArguments {
    /// Where Maru keeps its data
    #[arg(long, global = true, env = "MARU_DATA", default_value = "/var/lib/maru", value_name = "FOLDER")]
    pub(crate) data: PathBuf,
    /// The kubeconfig of the cluster to talk to; by default the one that `maru up` wrote
    #[arg(long, global = true, env = "KUBECONFIG", value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The namespace to work in
    #[arg(short, long, global = true, default_value = "default")]
    pub(crate) namespace: String,
    /// Answer in JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to log: error, warn, info, debug, or directives such as info,maru_node=debug
    #[arg(long, global = true, env = "MARU_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start Maru on this machine
    Up(UpArguments),
    /// Stop Maru and everything that it runs on this machine
    Down(DownArguments),
    /// Check this machine, and say what is missing and how to mend it
    Doctor(UpArguments),
    /// Print the kubeconfig of the administrator
    Kubeconfig,
    /// Build, pull, load and list images
    #[command(subcommand)]
    Image(ImageCommand),
    /// Build the sample shop, run it, and show that it answers
    Demo(DemoArguments),
    /// Run the time-series store with Prometheus' API alone, or manage its tokens
    Metrics(Box<MetricsArguments>),
    /// Run Alertmanager's duties alone, and ask why somebody was, or was not, told
    Alerts(Box<crate::alerts::AlertsArguments>),
    /// Print a link that logs into the console; list and end sessions
    #[command(subcommand)]
    Console(crate::console::ConsoleCommand),
    /// Show requirements and the verdicts that evidence gives them; check those of a folder
    #[command(subcommand)]
    Req(ReqCommand),
    /// Tell whether the requirements can hold together on the architecture, at which cost, or what stands in the way
    #[command(
        after_help = "Examples:\n  maru analyze examples/shop\n  maru analyze .maru --language en --certificate proof.json\n  maru -n shop analyze --output json\n\nEnds with 0 when they can, 1 when they cannot, 2 when it is not known."
    )]
    Analyze(Box<crate::analyze::AnalyzeArguments>),
    /// Check and draw conceptual models: use cases, sequences, states, classes, entities, flows, goals
    #[command(subcommand)]
    Model(crate::model::ModelCommand),
    /// Make objectives of sentences and OpenSLO files, print their rules, record their windows as evidence
    #[command(subcommand)]
    Slo(crate::slo::SloCommand),
    /// Record what was measured, check what was recorded, hand it over
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    /// Begin a project; show how far it is and what blocks it; baselines and approvals
    #[command(subcommand)]
    Project(crate::project::ProjectCommand),
    /// Write a project's documents: requirements definition, traceability matrix, test result, audit matrix
    #[command(
        after_help = "Examples:\n  sudo maru -n shop export documents --language ko --format hwpx --format xlsx\n  maru export documents --from examples/shop --language en"
    )]
    Export(crate::export::ExportArguments),
    #[command(flatten)]
    Client(maru_cli::Command),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReqCommand {
    #[command(flatten)]
    Project(RequirementCommand),
    #[command(flatten)]
    Folder(crate::requirements::FolderCommand),
    /// Bring a folder's requirements to the project: all of them, or none when one cannot be read
    #[command(after_help = "Examples:\n  maru -n shop req apply\n  maru -n shop req apply examples/shop --prune")]
    Apply(crate::import::ImportArguments),
}

#[derive(Debug, Subcommand)]
pub(crate) enum RequirementCommand {
    /// List requirements with their verdicts
    #[command(visible_alias = "ls", after_help = "Example:\n  maru -n shop req list")]
    List,
    /// Show a requirement: its checks, the evidence of each, its links
    Show {
        /// The requirement
        name: String,
    },
    /// Print the traceability table: goal, requirement, component, check, evidence, verdict
    #[command(after_help = "Example:\n  maru -n shop req trace")]
    Trace {
        /// The language of titles and reasons
        #[arg(long, value_parser = ["ko", "en"], default_value = "ko")]
        language: String,
    },
    /// Approve or reject a requirement as it is worded now, in a role
    #[command(
        after_help = "Examples:\n  maru -n shop req approve nfr-011 --role customer\n  maru -n shop req approve nfr-011 --role customer --reject --comment 'the order page is too slow'"
    )]
    Approve {
        /// The requirement
        name: String,
        #[command(flatten)]
        word: crate::project::WordArguments,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum EvidenceCommand {
    /// Sign what a tool's report says and record it
    #[command(
        after_help = "Examples:\n  sudo maru -n shop evidence attest --kind junit --environment dev report.xml\n  sudo maru -n shop evidence attest --kind k6 --requirement nfr-001 --environment dev summary.json"
    )]
    Attest(Box<AttestArguments>),
    /// Run an installation step by step, and write how long it took as a report of the kind install
    Time(TimeArguments),
    /// Check signatures, digests and the chain: of this machine's evidence, or of an exported folder
    Verify {
        /// An exported folder or .tar file; without it, the evidence of the project on this machine
        folder: Option<PathBuf>,
        /// The public key to trust, instead of the one in the folder
        #[arg(long, value_name = "FILE", requires = "folder")]
        key: Option<PathBuf>,
    },
    /// List evidence
    #[command(visible_alias = "ls")]
    List,
    /// The keys that sign evidence
    #[command(subcommand)]
    Key(KeyCommand),
    /// Write all evidence into a folder or a .tar file that can be checked without Maru
    Export {
        /// The folder or the .tar file; it must be new
        folder: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// List the keys that signed, with their places in the chain
    #[command(visible_alias = "ls")]
    List,
    /// Make a new key that signs from now on; what the old one signed stands
    Rotate,
}

/// What `maru evidence attest` can be told.
#[derive(Debug, Args)]
pub(crate) struct AttestArguments {
    /// The report as the tool wrote it (- is standard input)
    pub(crate) report: PathBuf,
    /// How the report is read
    #[arg(
        long,
        value_name = "KIND",
        help = "How the report is read: junit, sarif, cyclonedx, k6, wrk, load, slo, drill, approval, survey, install, experiment or provenance; by default it is guessed"
    )]
    pub(crate) kind: Option<String>,
    /// A requirement that it is about; may be given several times; without it, all whose checks ask for this report
    #[arg(long, value_name = "NAME")]
    pub(crate) requirement: Vec<String>,
    /// Where it was measured
    #[arg(long, value_name = "NAME")]
    pub(crate) environment: Option<String>,
    /// An image that was measured; without it, those of the requirements' components that run in the environment now
    #[arg(long, value_name = "COMPONENT=DIGEST")]
    pub(crate) image: Vec<String>,
    /// What checks ask for it by: the suite, the objective, the scenario, the role
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// How long it counts, such as 30d
    #[arg(long, value_name = "TIME")]
    pub(crate) valid_for: Option<String>,
    /// The commit that was measured, as git names it
    #[arg(long, value_name = "ID")]
    pub(crate) commit: Option<String>,
    /// What the tool was told: its script or its configuration; the record has its digest
    #[arg(long, value_name = "FILE")]
    pub(crate) parameters: Option<PathBuf>,
    /// The public key (PEM) of whoever signed a provenance; may be given several times; without it, it decides nothing
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Vec<PathBuf>,
}

/// What `maru evidence time` can be told.
#[derive(Debug, Args)]
pub(crate) struct TimeArguments {
    /// What is installed
    #[arg(long)]
    pub(crate) name: String,
    /// How long it may take, such as 30m
    #[arg(long, value_name = "TIME")]
    pub(crate) within: Option<String>,
    /// A step and the shell's command for it, in their order; the first one that fails is the last one that runs
    #[arg(long, value_name = "NAME=COMMAND", required = true)]
    pub(crate) step: Vec<String>,
    /// The file for the report; it must be new
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// What `maru up` can be told.
#[derive(Debug, Clone, Args)]
pub(crate) struct UpArguments {
    /// The node's name; by default the machine's
    #[arg(long)]
    pub(crate) node_name: Option<String>,
    /// The address on which the API and the gateway listen (0.0.0.0 for all)
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) bind: IpAddr,
    /// The API's port
    #[arg(long, default_value_t = 6443)]
    pub(crate) api_port: u16,
    /// The gateway's port for HTTP
    #[arg(long, default_value_t = 8080)]
    pub(crate) http_port: u16,
    /// The gateway's port for HTTPS
    #[arg(long, default_value_t = 8443)]
    pub(crate) https_port: u16,
    /// The port of the metrics API (HTTPS)
    #[arg(long, default_value_t = 9090)]
    pub(crate) metrics_port: u16,
    /// The port of the alerts API (HTTPS)
    #[arg(long, default_value_t = 9093)]
    pub(crate) alerts_port: u16,
    /// Where the console listens; an address that others reach is served over TLS
    #[arg(long, default_value = "127.0.0.1:7080", value_name = "ADDRESS:PORT")]
    pub(crate) console_listen: std::net::SocketAddr,
    /// A name by which people reach the console; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) console_host: Vec<String>,
    /// Serve the console's page from a folder, instead of the one that was built in
    #[arg(long, value_name = "FOLDER", hide = true)]
    pub(crate) console_assets: Option<PathBuf>,
    /// The addresses of pods
    #[arg(long, default_value = "10.42.0.0/24", value_name = "CIDR")]
    pub(crate) pod_cidr: maru_net::Cidr,
    /// The addresses of Services
    #[arg(long, default_value = "10.96.0.0/16", value_name = "CIDR")]
    pub(crate) service_cidr: maru_net::Cidr,
    /// Return when everything runs, and go on in the background
    #[arg(long)]
    pub(crate) detach: bool,
    /// Write log lines as JSON
    #[arg(long)]
    pub(crate) log_json: bool,
}

/// What `maru down` can be told.
#[derive(Debug, Clone, Args)]
pub(crate) struct DownArguments {
    /// Also delete everything that Maru keeps: objects, images, volumes, keys
    #[arg(long)]
    pub(crate) delete_data: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Build an image from a Dockerfile
    #[command(after_help = "Example:\n  sudo maru image build -t shop/web -f web/Dockerfile .")]
    Build(BuildArguments),
    /// Build a base image from the packages of a distribution, without a registry
    #[command(after_help = "Example:\n  sudo maru image packages -t maru/python python.yaml")]
    Packages(PackagesArguments),
    /// Pull an image from a registry
    Pull(PullArguments),
    /// Load images from an OCI or Docker archive (- is standard input)
    Load {
        /// The archive
        archive: PathBuf,
    },
    /// Save images as an OCI archive
    Save {
        /// The images
        #[arg(required = true)]
        images: Vec<String>,
        /// The archive to write
        #[arg(short, long)]
        output: PathBuf,
    },
    /// List the images on this machine
    #[command(visible_alias = "list")]
    Ls,
    /// Remove names of images, and what no name needs any more
    Rm {
        /// The images
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Show an image's configuration
    Inspect {
        /// The image
        image: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct BuildArguments {
    /// The image's name; may be given several times
    #[arg(short, long, required = true, value_name = "NAME")]
    pub(crate) tag: Vec<String>,
    /// The Dockerfile; by default the one in the context
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// A build argument
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) build_arg: Vec<String>,
    /// The stage to build
    #[arg(long)]
    pub(crate) target: Option<String>,
    /// Build every step anew
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Write how the image was built (SLSA provenance 1), signed by this machine's builder; the file must be new
    #[arg(long, value_name = "FILE")]
    pub(crate) provenance: Option<PathBuf>,
    /// The folder that COPY and ADD take from
    pub(crate) context: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct PackagesArguments {
    /// The image's name; may be given several times
    #[arg(short, long, required = true, value_name = "NAME")]
    pub(crate) tag: Vec<String>,
    /// The description: suite, packages, users, env …
    pub(crate) description: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct PullArguments {
    /// The image
    pub(crate) image: String,
    /// A Docker config.json with credentials
    #[arg(long, value_name = "FILE")]
    pub(crate) auth_file: Option<PathBuf>,
    /// Speak HTTP, or HTTPS without checking certificates, with this registry
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// What `maru metrics` can be told.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  maru metrics --data /var/lib/metrics --listen 127.0.0.1:9090 --no-authentication\n  maru metrics --data /var/lib/metrics --no-authentication --config prometheus.yml\n  maru metrics --data /var/lib/metrics token create --name grafana --scope read\n  maru metrics --data /var/lib/metrics --listen 0.0.0.0:9090 --tls-certificate tls.crt --tls-key tls.key"
)]
pub(crate) struct MetricsArguments {
    #[command(subcommand)]
    pub(crate) command: Option<MetricsCommand>,
    #[command(flatten)]
    pub(crate) serve: MetricsServeArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MetricsCommand {
    /// Manage the tokens that clients show
    #[command(subcommand)]
    Token(MetricsTokenCommand),
    /// Check rule files, run their tests, and rehearse them over recorded samples
    #[command(subcommand)]
    Rules(crate::rules::RulesCommand),
    /// Make boards of Grafana's dashboards, and check boards
    #[command(subcommand)]
    Board(crate::board::BoardCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum MetricsTokenCommand {
    /// Make a token and print it; it is kept nowhere but as a hash
    Create {
        /// What people call it; samples that it writes are counted under this name
        #[arg(long)]
        name: String,
        /// What it may be used for: read, write, admin; may be given several times
        #[arg(long, required = true, value_delimiter = ',')]
        scope: Vec<maru_metrics::AccessScope>,
        /// How many series its writers may have in memory; the server's own limit by default
        #[arg(long, value_name = "COUNT")]
        series_max: Option<usize>,
    },
    /// List the tokens' names and scopes
    #[command(visible_alias = "list")]
    Ls,
    /// Delete a token; it stops working at once
    #[command(visible_alias = "delete")]
    Rm {
        /// The token's name
        name: String,
    },
}

/// How the metrics server runs.
#[derive(Debug, Clone, Args)]
pub(crate) struct MetricsServeArguments {
    /// The address to listen on; port 0 takes any that is free
    #[arg(long, default_value = "127.0.0.1:9090", value_name = "ADDRESS:PORT")]
    pub(crate) listen: std::net::SocketAddr,
    /// What is collected, which rules run, where samples and alerts go: a prometheus.yml as it is
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How targets are probed at /probe: a blackbox.yml as it is
    #[arg(long, value_name = "FILE")]
    pub(crate) probe_config: Option<PathBuf>,
    /// Let everybody in who reaches the server; for loopback addresses only
    #[arg(long)]
    pub(crate) no_authentication: bool,
    /// The certificate chain to speak TLS with (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// The certificate's key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
    /// How long samples are kept, such as 15d or 1y; 0 for ever
    #[arg(long, default_value = "15d", value_name = "TIME")]
    pub(crate) retention: String,
    /// How much room closed blocks may take, such as 10GiB; 0 for any
    #[arg(long, default_value = "0", value_name = "SIZE")]
    pub(crate) retention_size: String,
    /// How much older than the newest sample of its series a sample may be, such as 1h
    #[arg(long, default_value = "0s", value_name = "TIME")]
    pub(crate) out_of_order_window: String,
    /// How far back a query looks for the last sample of a series
    #[arg(long, default_value = "5m", value_name = "TIME")]
    pub(crate) lookback: String,
    /// The step of subqueries that say none
    #[arg(long, default_value = "1m", value_name = "TIME")]
    pub(crate) evaluation_interval: String,
    /// How long a query may take
    #[arg(long, default_value = "2m", value_name = "TIME")]
    pub(crate) query_timeout: String,
    /// Queries at a time; more wait
    #[arg(long, default_value_t = 20, value_name = "COUNT")]
    pub(crate) query_concurrency: usize,
    /// Samples that one query may hold in memory
    #[arg(long, default_value_t = 50_000_000, value_name = "COUNT")]
    pub(crate) query_samples_max: u64,
    /// Memory that one query may take
    #[arg(long, default_value = "1GiB", value_name = "SIZE")]
    pub(crate) query_memory_max: String,
    /// Series that one selector may find
    #[arg(long, default_value_t = 1_000_000, value_name = "COUNT")]
    pub(crate) query_series_max: usize,
    /// Series in memory; further ones are refused and counted
    #[arg(
        long,
        default_value_t = 0,
        value_name = "COUNT",
        help = "Series in memory, 0 for the default of 10 million; further ones are refused and counted"
    )]
    pub(crate) series_max: u64,
    /// Series in memory for each token or tenant
    #[arg(
        long,
        default_value_t = 0,
        value_name = "COUNT",
        help = "Series in memory for each token or tenant, 0 for the default of 1 million"
    )]
    pub(crate) scope_series_max: u64,
    /// Let tokens of the scope admin delete series and take snapshots
    #[arg(long)]
    pub(crate) enable_admin_api: bool,
    /// Allow experimental functions, durations and modifiers of PromQL
    #[arg(long)]
    pub(crate) experimental_promql: bool,
    /// A web origin that may read answers in browsers (* for all); may be given several times
    #[arg(long, default_value = "*", value_name = "ORIGIN")]
    pub(crate) cors_origin: Vec<String>,
    #[command(flatten)]
    pub(crate) otlp: OtlpArguments,
    /// Write log lines as JSON
    #[arg(long)]
    pub(crate) log_json: bool,
}

/// How metrics of OpenTelemetry become series.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct OtlpArguments {
    /// How OTLP names become names of series and labels
    #[arg(
        long,
        default_value = "UnderscoreEscapingWithSuffixes",
        value_name = "STRATEGY",
        value_parser = [
            "UnderscoreEscapingWithSuffixes", "UnderscoreEscapingWithoutSuffixes", "NoUTF8EscapingWithSuffixes", "NoTranslation"
        ]
    )]
    pub(crate) otlp_translation_strategy: String,
    /// A resource attribute that becomes a label of all its series; may be given several times
    #[arg(long, value_name = "NAME", conflicts_with = "otlp_promote_all_resource_attributes")]
    pub(crate) otlp_promote_resource_attribute: Vec<String>,
    /// Make labels of all resource attributes
    #[arg(long)]
    pub(crate) otlp_promote_all_resource_attributes: bool,
    /// A resource attribute that does not become a label when all others do; may be given several times
    #[arg(long, value_name = "NAME", requires = "otlp_promote_all_resource_attributes")]
    pub(crate) otlp_ignore_resource_attribute: Vec<String>,
    /// Keep service.name, service.namespace and service.instance.id as labels of target_info, too
    #[arg(long)]
    pub(crate) otlp_keep_identifying_resource_attributes: bool,
    /// Make labels of the scope's name, version, schema and attributes
    #[arg(long)]
    pub(crate) otlp_promote_scope_metadata: bool,
    /// Keep OTLP histograms with bounds as native histograms with custom buckets
    #[arg(long)]
    pub(crate) otlp_convert_histograms_to_nhcb: bool,
}

/// What `maru demo` can be told.
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    #[command(flatten)]
    pub(crate) up: UpArguments,
    /// The sample's folder
    #[arg(long, default_value = "examples/shop", value_name = "FOLDER")]
    pub(crate) shop: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_explains_itself() {
        for command in Arguments::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{} has no description", command.get_name());
        }
    }
}
