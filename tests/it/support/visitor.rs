//! A browser without scripts: cookies, links, forms with their tokens.

use std::cell::RefCell;
use std::collections::BTreeMap;

use hookpost::actions::Actor;
use hookpost::auth::{password, users};
use hookpost::store::Store;
use hookpost::store::user::Role;
use serde_json::{Value, json};

use super::hub::{Answer, Hub, NOON};
use super::page::Page;

/// Password of every user in tests. It is hashed once, because hashing is slow.
pub const PASSWORD: &str = "a password for tests";

/// A browser session on a hub's pages.
pub struct Visitor<'a> {
    hub: &'a Hub,
    cookies: RefCell<BTreeMap<String, String>>,
    /// Headers of each request, by name.
    headers: RefCell<BTreeMap<String, String>>,
    /// Source of the last page, for its form token.
    page: RefCell<String>,
    /// Prefix of paths: empty, or that of the portal.
    base: &'static str,
}

impl Hub {
    /// Opens a browser without cookies.
    pub fn visitor(&self) -> Visitor<'_> {
        Visitor {
            hub: self,
            cookies: RefCell::default(),
            headers: RefCell::default(),
            page: RefCell::default(),
            base: "",
        }
    }

    /// Adds a user with [`PASSWORD`].
    pub fn add_user(&self, name: &str, role: Role) {
        static HASH: std::sync::OnceLock<String> = std::sync::OnceLock::new();
        let hash = HASH.get_or_init(|| password::hash(PASSWORD));
        let connection = Store::open_for_command(&self.database()).unwrap();
        users::add(&connection, &Actor::Command, name, role, hash, NOON).unwrap();
    }

    /// Signs in as a new administrator.
    pub fn administrator(&self) -> Visitor<'_> {
        self.signed_in("anna", Role::Administrator)
    }

    /// Signs in as a new viewer.
    pub fn viewer(&self) -> Visitor<'_> {
        self.signed_in("vera", Role::Viewer)
    }

    /// Signs in as a new operator.
    pub fn operator(&self) -> Visitor<'_> {
        self.signed_in("otto", Role::Operator)
    }

    /// Creates a portal link for a tenant over the API. Returns its path.
    pub fn portal_path(&self, tenant: &str) -> String {
        self.portal_path_with(&json!({"tenant": tenant}))
    }

    /// Creates a portal link over the API. Returns its path.
    pub fn portal_path_with(&self, body: &Value) -> String {
        let made = self.post("/v1/portal-links", body).expect(201).json();
        let url = made["url"].as_str().unwrap();
        let base = self.running.app.site.base().to_string();
        url.strip_prefix(&base).unwrap().to_owned()
    }

    /// Opens the portal of a tenant by a link.
    pub fn portal(&self, tenant: &str) -> Visitor<'_> {
        self.visitor().into_portal(&self.portal_path(tenant))
    }

    fn signed_in(&self, name: &str, role: Role) -> Visitor<'_> {
        self.add_user(name, role);
        let visitor = self.visitor();
        visitor.sign_in(name, PASSWORD).expect(303);
        visitor
    }
}

impl<'a> Visitor<'a> {
    /// Opens a portal link. Paths without the portal's prefix are below it from then on.
    pub fn into_portal(self, path: &str) -> Visitor<'a> {
        self.page(path);
        let token = path.split('=').nth(1).unwrap();
        self.submit("/portal", &[("token", token)]).expect(303);
        Visitor { base: "/portal", ..self }
    }

    /// Submits the sign-in page.
    pub fn sign_in(&self, name: &str, password: &str) -> Answer {
        self.get("/login");
        self.submit("/login", &[("name", name), ("password", password)])
    }

    /// Opens a page without following redirects.
    pub fn get(&self, path: &str) -> Answer {
        let answer = self.request("GET", path, &[], b"");
        let is_page = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
        if answer.status == 200 && is_page {
            self.page.replace(answer.text.clone());
        }
        answer
    }

    /// Opens a page. Panics unless the status is 200.
    #[track_caller]
    pub fn page(&self, path: &str) -> Page {
        self.get(path).expect(200).page()
    }

    /// Submits a form with the token of the last page.
    pub fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.form_token();
        let all = [&[("form_token", token.as_str())], fields].concat();
        self.submit_as_given(path, &all, &[])
    }

    /// Submits the first form of a page as it is, but for some fields.
    pub fn submit_changed(&self, path: &str, changes: &[(&str, &str)]) -> Answer {
        let page = self.page(path);
        let mut fields = page.forms()[0].fields();
        fields.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let kept = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        self.submit(path, &kept.chain(changes.iter().copied()).collect::<Vec<_>>())
    }

    /// Submits a form and follows its redirect.
    #[track_caller]
    pub fn submit_and_follow(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.follow(&self.submit(path, fields)).page()
    }

    /// Opens the page that a response redirects to.
    #[track_caller]
    pub fn follow(&self, answer: &Answer) -> Answer {
        assert_eq!(answer.status, 303, "{}", answer.text);
        self.get(answer.header("location").unwrap()).expect(200)
    }

    /// Submits a form without fields that responds with a file. Returns the status, the media type and the bytes.
    pub fn download(&self, path: &str) -> (u16, String, Vec<u8>) {
        let token = self.form_token();
        let name = self.session_cookie();
        let cookie = format!("{name}={}", self.cookie(&name).unwrap_or_default());
        self.hub.download_form(&format!("{}{path}", self.base), &cookie, &token)
    }

    /// Submits a form exactly as given.
    pub fn submit_as_given(&self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let headers = [&form[..], headers].concat();
        self.request("POST", path, &headers, body.finish().as_bytes())
    }

    /// Token of the forms on the last page; empty if there is none.
    pub fn form_token(&self) -> String {
        Page::read(self.page.borrow().as_str()).field("form_token").unwrap_or_default()
    }

    /// Value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.borrow().get(name).cloned()
    }

    /// Sets a cookie.
    pub fn set_cookie(&self, name: &str, value: &str) {
        let mut cookies = self.cookies.borrow_mut();
        cookies.insert(name.to_owned(), value.to_owned());
    }

    /// Sends a header with each request from now on.
    pub fn set_header(&self, name: &str, value: &str) {
        self.headers.borrow_mut().insert(name.to_owned(), value.to_owned());
    }

    /// Name of the session cookie.
    pub fn session_cookie(&self) -> String {
        let name = self.hub.running.app.site.cookie();
        if self.base.is_empty() { name } else { format!("{name}_portal") }
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let is_below = path == self.base || path.starts_with(&format!("{}/", self.base));
        let path = if is_below { path.to_owned() } else { format!("{}{path}", self.base) };
        let cookies: Vec<String> =
            self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut all = vec![("accept", "text/html"), ("cookie", cookies.as_str())];
        all.extend_from_slice(headers);
        let own = self.headers.borrow().clone();
        all.extend(own.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let answer = self.hub.send(method, &path, &all, body);
        let set = answer.headers.iter();
        for (_, value) in set.filter(|(name, _)| name == "set-cookie") {
            let (name, rest) = value.split_once('=').unwrap();
            let text = rest.split(';').next().unwrap_or_default();
            if rest.contains("Max-Age=0") {
                drop(self.cookies.borrow_mut().remove(name))
            } else {
                self.set_cookie(name, text)
            }
        }
        answer
    }
}
