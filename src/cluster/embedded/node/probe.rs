//! Probes: asked of the container in this process, with the kubelet's timing and words.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::super::events::Telling;
use super::pod::Pod;
use super::web::Query;
use super::{GATEWAY_ADDRESS, exec};

/// Which of the three probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Readiness,
    Liveness,
    Startup,
}

impl Kind {
    pub fn key(self) -> &'static str {
        match self {
            Self::Readiness => "readinessProbe",
            Self::Liveness => "livenessProbe",
            Self::Startup => "startupProbe",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
            Self::Startup => "Startup",
        }
    }
}

/// What a probe came to, after its thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Passing,
    Failing,
}

/// Counts results up to the thresholds. Pure.
#[derive(Debug)]
pub struct Counter {
    success_threshold: u32,
    failure_threshold: u32,
    run: u32,
    last: Option<bool>,
}

impl Counter {
    pub fn new(probe: &Value) -> Self {
        let number = |key: &str, default: u32| {
            probe.get(key).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok()).unwrap_or(default)
        };
        Self {
            success_threshold: number("successThreshold", 1).max(1),
            failure_threshold: number("failureThreshold", 3).max(1),
            run: 0,
            last: None,
        }
    }

    /// The outcome where a threshold has just been reached.
    pub fn count(&mut self, success: bool) -> Option<Outcome> {
        self.run = if self.last == Some(success) { self.run + 1 } else { 1 };
        self.last = Some(success);
        let (threshold, outcome) = if success {
            (self.success_threshold, Outcome::Passing)
        } else {
            (self.failure_threshold, Outcome::Failing)
        };
        (self.run >= threshold).then_some(outcome)
    }
}

/// Probes for as long as the container runs; tells each failure and hands each outcome to `outcome`. Ends where
/// `outcome` returns false.
pub async fn run(
    pod: Arc<Pod>,
    index: usize,
    kind: Kind,
    probe: Value,
    mut outcome: impl FnMut(Outcome) -> bool + Send,
) {
    let seconds = |key: &str, default: f64| probe.get(key).and_then(Value::as_f64).unwrap_or(default);
    let period = pod.shared.scaled(seconds("periodSeconds", 10.0)).max(Duration::from_millis(10));
    let mut counter = Counter::new(&probe);
    tokio::time::sleep(pod.shared.scaled(seconds("initialDelaySeconds", 0.0))).await;
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let result = ask(&pod, index, &probe);
        if let Err(why) = &result {
            let message = format!("{} probe failed: {why}", kind.title());
            pod.tell(index, &Telling::warning("Unhealthy", message));
        }
        if let Some(reached) = counter.count(result.is_ok())
            && !outcome(reached)
        {
            return;
        }
    }
}

fn ask(pod: &Arc<Pod>, index: usize, probe: &Value) -> Result<(), String> {
    if let Some(http) = probe.get("httpGet").filter(|http| http.is_object()) {
        return ask_http(pod, index, http);
    }
    if let Some(tcp) = probe.get("tcpSocket").filter(|tcp| tcp.is_object()) {
        let port = pod.port(index, &tcp["port"]);
        return if pod.accepts(port) {
            Ok(())
        } else {
            Err(format!("dial tcp {}:{port}: connect: connection refused", pod.address()))
        };
    }
    if let Some(command) = probe.pointer("/exec/command").and_then(Value::as_array) {
        let command: Vec<String> = command.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect();
        let result = exec::run(pod, index, &command);
        return if result.code == 0 { Ok(()) } else { Err(format!("{}{}", result.stdout, result.stderr)) };
    }
    Err("the embedded sandbox cannot ask by gRPC (--sandbox kind does)".into())
}

pub fn ask_http(pod: &Arc<Pod>, index: usize, http: &Value) -> Result<(), String> {
    let port = pod.port(index, &http["port"]);
    let path = http["path"].as_str().unwrap_or("/");
    let target = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let secure = http["scheme"] == "HTTPS";
    let address = http["host"].as_str().filter(|host| !host.is_empty()).map_or_else(|| pod.address(), str::to_owned);
    let url = format!("{}://{address}:{port}{target}", if secure { "https" } else { "http" });
    if address != pod.address() {
        // Only the pod itself can be reached: the node has no network.
        let is_number = address.parse::<std::net::IpAddr>().is_ok() || address == "localhost";
        let why = if is_number {
            format!("dial tcp {address}:{port}: connect: connection refused")
        } else {
            format!("dial tcp: lookup {address}: no such host")
        };
        return Err(format!("Get \"{url}\": {why}"));
    }
    if secure && pod.accepts(port) {
        return Err(format!("Get \"{url}\": http: server gave HTTP response to HTTPS client"));
    }
    let headers = http["httpHeaders"].as_array().cloned().unwrap_or_default();
    let header = |name: &str| {
        let found = headers.iter().find(|header| header["name"].as_str().is_some_and(|n| n.eq_ignore_ascii_case(name)));
        found.and_then(|header| header["value"].as_str()).map(str::to_owned)
    };
    let host = header("Host").unwrap_or_else(|| format!("{}:{port}", pod.address()));
    let agent = header("User-Agent").unwrap_or_else(|| "kube-probe/1.34".into());
    let query =
        Query { target: &target, host: &host, port, remote: GATEWAY_ADDRESS, user_agent: &agent, ..Query::default() };
    match pod.answer(&query, Timestamp::now()) {
        None => Err(format!("Get \"{url}\": dial tcp {}:{port}: connect: connection refused", pod.address())),
        Some(answer) if (200..400).contains(&answer.status) => Ok(()),
        Some(answer) => Err(format!("HTTP probe failed with statuscode: {}", answer.status)),
    }
}
