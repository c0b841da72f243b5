//! `posthaste verify`: says whether a captured request is what its sender signed, and if not, which part is wrong.

mod choice;
mod credentials;
mod curl;
mod hints;
mod judgement;
mod raw;
mod report;
mod request;
mod words;

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
    process::ExitCode,
};

use anyhow::Context as _;

use self::{credentials::Credentials, judgement::Age, report::Report, request::Request};
use crate::{
    cli::{VerifyArgs, complain, on_one_line, say},
    clock,
};

/// Nothing can be said of the request: it, or what it is judged by, cannot be read.
const BAD_INPUT: u8 = 2;
/// Most bytes of an input: more than any event has, little enough for memory.
const MAX_INPUT: u64 = 64 * 1024 * 1024;

/// Judges a request and tells. Exits with 0 where it is valid, with 1 where it is not, with 2 where that cannot be told.
pub(crate) fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let report = match examine(args) {
        Ok(report) => report,
        Err(error) => {
            complain(format_args!("posthaste: {}", on_one_line(&error)));
            return Ok(ExitCode::from(BAD_INPUT));
        }
    };
    if args.json {
        say(serde_json::to_string_pretty(&report)?);
    } else {
        say(report.to_string().trim_end());
    }
    Ok(if report.valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn examine(args: &VerifyArgs) -> anyhow::Result<Report> {
    // First, because the input may be typed.
    let credentials = Credentials::read(args)?;
    let mut request = read(&input(&args.file)?)?;
    if let Some(url) = &args.url {
        request.url.clone_from(url);
        request.scheme_is_guessed = false;
    }
    if let Some(method) = &args.method {
        request.method.clone_from(method);
    }
    let choice = choice::choose(args.profile.as_deref(), &request, &credentials)?;
    let now = args.now.unwrap_or_else(|| clock::system().now());
    let age = Age { now, tolerance: args.tolerance.0, strict: args.strict };
    Report::of(choice, &credentials, &request, age)
}

fn input(file: &Path) -> anyhow::Result<Vec<u8>> {
    let reader: Box<dyn io::Read> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(fs::File::open(file).with_context(|| format!("{} cannot be read", file.display()))?)
    };
    let mut input = Vec::new();
    let read = reader.take(MAX_INPUT + 1).read_to_end(&mut input);
    read.with_context(|| format!("{} cannot be read", file.display()))?;
    anyhow::ensure!(input.len() as u64 <= MAX_INPUT, "the input has more than {MAX_INPUT} bytes");
    Ok(input)
}

/// Reads a request in the form that its beginning shows.
fn read(input: &[u8]) -> anyhow::Result<Request> {
    let request =
        if curl::is_curl(input) { curl::read(input, |file| fs::read(file))? } else { raw::read(input)? };
    Ok(request)
}

/// A piece of the input in quotes, on one line and not too long of it.
fn shown(text: &str) -> String {
    const MOST: usize = 60;
    let mut piece: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        piece.push('…');
    }
    format!("'{piece}'")
}
