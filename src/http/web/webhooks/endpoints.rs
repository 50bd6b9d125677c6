//! Requirements of vendors on URL and headers, for the form.

use crate::http::web::Session;

/// Requirements of one profile.
pub struct EndpointNeeds {
    pub profile: String,
    /// Example of a URL.
    pub url: String,
    /// Custom headers.
    pub headers: Vec<String>,
}

/// Needs of those of some profiles that have any, by name.
pub fn known(session: &Session, profiles: &[(String, String)]) -> Vec<EndpointNeeds> {
    let all = session.app.actions.store.profiles().all();
    let needs = all.iter().filter_map(|profile| {
        let endpoint = profile.spec().endpoint.as_ref()?;
        profiles.iter().find(|(name, _)| name == profile.name())?;
        Some(EndpointNeeds {
            profile: profile.name().to_owned(),
            url: endpoint.url.clone(),
            headers: endpoint.headers.clone(),
        })
    });
    needs.collect()
}
