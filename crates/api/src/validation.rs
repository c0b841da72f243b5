use garde::Validate;

use crate::problem::Problem;

/// Checks the bounds of a body's fields; names the first that is out of its own.
pub(crate) fn validate<T: Validate<Context = ()>>(body: T) -> Result<T, Problem> {
    let Err(report) = body.validate() else { return Ok(body) };
    let problem = report.iter().next().map(|(path, error)| Problem::field(pointer(path), error));
    Err(problem.unwrap_or_else(|| Problem::field("", "not valid")))
}

/// The JSON pointer (RFC 6901) of a path such as `a.b[0]`.
fn pointer(path: &garde::Path) -> String {
    format!("/{}", path.to_string().replace(['.', '['], "/").replace(']', ""))
}
