//! Images for a real cluster: built by the Docker engine from the commit's files, and pushed by it. The embedded
//! sandbox needs neither; there the layers alone are pushed (`image`).

use std::collections::{BTreeMap, HashMap};

use bollard::query_parameters::{BuildImageOptionsBuilder, PushImageOptionsBuilder, RemoveImageOptionsBuilder};
use futures_util::TryStreamExt;

use super::fault::{Context, Fault};
use super::image::DOCKERFILE;
use crate::engine;
use crate::error::Explain;

/// What the engine is to build.
pub struct Order<'a> {
    /// `localhost:5001/demo-app`.
    pub repository: &'a str,
    pub tag: &'a str,
    /// The context, a tar.
    pub context: Vec<u8>,
    pub labels: BTreeMap<&'a str, &'a str>,
    pub arguments: &'a BTreeMap<String, String>,
}

/// Builds and pushes; each line of the build is handed over.
///
/// # Errors
/// No engine answers, a step fails, or the registry does not take the image.
pub async fn build_and_push(order: Order<'_>, mut line: impl FnMut(&str)) -> Result<(), Fault> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let engine = engine::connect(&environment)
        .await
        .map_err(|error| Fault::Engine { message: error.to_string(), hint: error.hint() })?;
    let name = format!("{}:{}", order.repository, order.tag);
    let labels: HashMap<&str, &str> = order.labels.into_iter().collect();
    let arguments: HashMap<&str, &str> =
        order.arguments.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let options = BuildImageOptionsBuilder::new()
        .dockerfile(DOCKERFILE)
        .t(&name)
        .labels(&labels)
        .buildargs(&arguments)
        .rm(true)
        .forcerm(true)
        .build();
    let context = bollard::body_full(order.context.into());
    let mut steps = std::pin::pin!(engine.docker.build_image(options, None, Some(context)));
    let failed = |error: bollard::errors::Error| Fault::invalid(error.to_string());
    while let Some(step) = steps.try_next().await.map_err(failed).within("error building dockerfile")? {
        if let Some(error) = step.error_detail.and_then(|detail| detail.message) {
            return Err(Fault::invalid(error).within("error building dockerfile"));
        }
        step.stream
            .iter()
            .flat_map(|text| text.lines())
            .map(str::trim_end)
            .filter(|text| is_told(text))
            .for_each(&mut line);
    }
    let options = PushImageOptionsBuilder::new().tag(order.tag).build();
    let mut pushes = std::pin::pin!(engine.docker.push_image(order.repository, Some(options), None));
    while let Some(push) = pushes.try_next().await.map_err(failed).within(format!("error pushing {name}"))? {
        if let Some(error) = push.error_detail.and_then(|detail| detail.message) {
            return Err(Fault::invalid(error).within(format!("error pushing {name}")));
        }
    }
    // The registry has it now. What the engine keeps of it would only take the learner's room.
    let options = RemoveImageOptionsBuilder::new().noprune(false).build();
    let _ = engine.docker.remove_image(&name, Some(options), None).await;
    Ok(())
}

/// Steps and what they print are told; the ids of what is between them are not.
fn is_told(line: &str) -> bool {
    !line.is_empty()
        && !line.starts_with(" --->")
        && !line.starts_with("Successfully ")
        && !line.starts_with("Removing ")
}
