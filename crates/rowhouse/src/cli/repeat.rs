//! Saying the same again and again: `--watch`, and `rowhouse top`.
use super::Failure;
use std::io::{self, IsTerminal as _, Write};
use std::thread;
use std::time::Duration;

/// Puts the cursor home and clears what is below.
const CLEAR: &str = "\x1b[H\x1b[J";

/// Says what `say` says each `every`, until nobody reads on: in place on a terminal, a block after the other,
/// parted by an empty line, elsewhere.
///
/// What fails is told, and tried again: a server that is started again is watched on. What fails from the
/// first on ends it, as does what is wrong with the command line.
pub(super) fn repeat(
    every: Duration,
    out: &mut impl Write,
    mut say: impl FnMut(&mut Vec<u8>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let in_place = io::stdout().is_terminal();
    for round in 0_u64.. {
        let mut block = Vec::new();
        let outcome = say(&mut block);
        let lead = match (in_place, round) {
            (true, _) => CLEAR,
            (false, 0) => "",
            (false, _) => "\n",
        };
        write!(out, "{lead}")?;
        out.write_all(&block)?;
        out.flush()?;
        if let Err(error) = outcome {
            match error.downcast_ref::<Failure>() {
                Some(failure) if round > 0 && failure.code() != crate::USAGE => {
                    writeln!(io::stderr(), "{failure}")?;
                }
                _ => return Err(error),
            }
        }
        thread::sleep(every);
    }
    Ok(())
}

/// Reads a number of seconds, such as `30` or `0.5`, or a time such as `1m`.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let time = seconds.or_else(|| humantime::parse_duration(text).ok());
    let day = Duration::from_secs(24 * 60 * 60);
    time.filter(|time| (Duration::from_millis(100)..=day).contains(time)).ok_or_else(|| {
        "takes seconds such as 30 or 0.5, or a time such as 1m; from 0.1 s to a day".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_seconds_or_a_time() {
        assert_eq!(interval("30"), Ok(Duration::from_secs(30)));
        assert_eq!(interval("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(interval("1m"), Ok(Duration::from_secs(60)));
        for text in ["", "0", "-1", "0.01", "NaN", "inf", "soon", "2days"] {
            assert!(interval(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_fails_from_the_first_on_is_not_tried_again() {
        let (mut out, mut rounds) = (Vec::new(), 0);
        let outcome = repeat(Duration::from_millis(1), &mut out, |_| {
            rounds += 1;
            Err(Failure::new("nobody is there").into())
        });
        assert_eq!(outcome.expect_err("it ended").to_string(), "nobody is there");
        assert_eq!(rounds, 1);
    }

    #[test]
    fn a_server_that_goes_is_watched_on() {
        let (mut out, mut rounds) = (Vec::new(), 0);
        let outcome = repeat(Duration::from_millis(1), &mut out, |_| {
            rounds += 1;
            match rounds {
                1 => Ok(()),
                2 => Err(Failure::new("it has gone").into()),
                _ => Err(Failure::usage("enough").into()),
            }
        });
        assert_eq!((outcome.expect_err("it ended").to_string().as_str(), rounds), ("enough", 3));
    }

    #[test]
    fn blocks_are_parted_by_an_empty_line_until_the_command_line_is_wrong() {
        let (mut out, mut round) = (Vec::new(), 0);
        let outcome = repeat(Duration::from_millis(1), &mut out, |block| {
            round += 1;
            writeln!(block, "{round}")?;
            match round {
                3 => Err(Failure::usage("enough").into()),
                _ => Ok(()),
            }
        });
        assert_eq!(outcome.expect_err("it ended").to_string(), "enough");
        if !io::stdout().is_terminal() {
            assert_eq!(String::from_utf8_lossy(&out), "1\n\n2\n\n3\n");
        }
    }
}
