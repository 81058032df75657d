//! `tutorial open`: the page of the deployed application.

use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::args::OpenArgs;
use crate::course::environment_suffix;
use crate::error::{Exit, Failure};
use crate::session::{Host, Session};

/// How long a page on this machine may take to be connected to.
const CONNECT_TIME_MAX: Duration = Duration::from_millis(500);

/// An environment's page.
struct Page {
    environment: String,
    url: String,
    answers: bool,
}

pub fn run(host: &Host, arguments: &OpenArgs) -> Result<Exit, Failure> {
    let mut session = Session::open(host, &arguments.workspace)?;
    session.ready()?;
    let pages = pages(&session);
    let page = match &arguments.environment {
        Some(asked) => pages.iter().find(|page| page.environment == *asked).ok_or_else(|| {
            let known: Vec<&str> = pages.iter().map(|page| page.environment.as_str()).collect();
            Failure::new(format!("the course has no environment `{asked}`"))
                .hint(format!("it has {}", known.join(", ")))
                .exit(Exit::Usage)
        })?,
        None => pages.iter().find(|page| page.answers).ok_or_else(|| {
            let urls: Vec<String> = pages.iter().map(|page| format!("{} at {}", page.environment, page.url)).collect();
            Failure::new("nothing is deployed yet that answers")
                .caused_by(urls.join(", "))
                .hint("deploy first; `tutorial start` shows the step you are at")
        })?,
    };
    host.ui.line(&page.url);
    if !page.answers {
        let style = host.ui.conversation_style();
        host.ui.say(&format!("{} nothing answers there yet", style.warning("note:")));
        return Ok(Exit::NotYet);
    }
    if host.ui.is_interactive() {
        browse(&page.url);
    }
    Ok(Exit::Done)
}

fn pages(session: &Session<'_>) -> Vec<Page> {
    let variables = session.variables();
    let environments = session.course.sandbox.environments.keys();
    let page = |environment: &String| {
        let url = variables.get(&format!("URL_{}", environment_suffix(environment)))?.to_owned();
        let port = url.rsplit(':').next()?.parse().ok()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let answers = TcpStream::connect_timeout(&address, CONNECT_TIME_MAX).is_ok();
        Some(Page { environment: environment.clone(), url, answers })
    };
    environments.filter_map(page).collect()
}

/// Hands the address to whatever opens addresses here. Without one, the printed address is there to click.
fn browse(url: &str) {
    let openers = if cfg!(target_os = "macos") { vec!["open"] } else { vec!["wslview", "xdg-open"] };
    for opener in openers {
        let started =
            Command::new(opener).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        if started.is_ok() {
            return;
        }
    }
}
