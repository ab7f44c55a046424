//! The flags of the options that no command names itself: made from the table of options.
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use rowhouse::config::{Kind, Layers, OPTIONS, Opt};

/// What was given of them.
#[derive(Debug, Default)]
pub(super) struct Others(Vec<(&'static Opt, String)>);

// === impl Others ===

impl Others {
    /// Puts what was given over `layers`.
    pub(super) fn flags(&self, layers: &mut Layers) {
        for (option, text) in &self.0 {
            layers.flag(option.key, text, option.flag());
        }
    }
}

/// Adds a flag for each option that has none yet; `--help` shows them, `-h` does not.
impl Args for Others {
    fn augment_args(command: Command) -> Command {
        OPTIONS.iter().fold(command, |command, option| match long(option) {
            Some(long) if command.get_arguments().all(|known| known.get_long() != Some(&long)) => {
                command.arg(arg(option, long))
            }
            _ => command,
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Others {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut others = Self::default();
        others.update_from_arg_matches(matches)?;
        Ok(others)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        // Those that a command names itself have another id, and are read by the command.
        let given = |option: &Opt| matches.try_get_one::<String>(&option.flag()).ok().flatten().cloned();
        self.0.extend(OPTIONS.iter().filter_map(|option| Some((option, given(option)?))));
        Ok(())
    }
}

/// The flag without its dashes, where it is one.
fn long(option: &Opt) -> Option<String> {
    option.flag().strip_prefix("--").map(str::to_owned)
}

fn arg(option: &Opt, long: String) -> Arg {
    let default = match option.default {
        "" => String::new(),
        default => format!(" [default: {default}]"),
    };
    let arg = match option.kind {
        // Alone it says yes.
        Kind::Boolean => Arg::new(option.flag()).num_args(0..=1).default_missing_value("true"),
        _ => Arg::new(option.flag()),
    };
    arg.long(long)
        .value_name(value_name(option.kind))
        .help(format!("{}{default}", option.about.trim_end_matches('.')))
        .help_heading("More options")
        // The table of options says what is wrong with a value, and from where it comes. But what stands
        // behind a flag that says yes alone is another flag.
        .allow_hyphen_values(option.kind != Kind::Boolean)
        .hide_short_help(true)
}

fn value_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "TRUTH",
        Kind::Integer(..) => "COUNT",
        Kind::Duration => "TIME",
        Kind::Bytes(..) => "SIZE",
        Kind::Word(_) => "WORD",
        Kind::Path => "DIRECTORY",
        Kind::Database => "DATABASE",
        Kind::Dsn => "DSN",
        Kind::DatabaseMap | Kind::DsnMap => "JSON",
        Kind::Address | Kind::Socket => "ADDRESS",
        Kind::Filter => "FILTER",
        Kind::KeyId => "ID",
        Kind::Ip => "IP",
        Kind::Hosts => "HOSTS",
        Kind::Texts => "TEXTS",
        Kind::Origins => "ORIGINS",
        Kind::Words(_) => "WORDS",
        Kind::Service => "NAME",
    }
}
