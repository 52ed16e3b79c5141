//! What the binary can be told on its command line.

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
    #[command(flatten)]
    Client(maru_cli::Command),
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
