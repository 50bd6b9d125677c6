//! Groups of failed attempts for the table of failures by cause. Each failure belongs to one group, and each group knows
//! the list filters that show it.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::Invalid;
use super::attempt::ErrorCode;

/// Group of failures, in the order in which a person looks for the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
#[strum(parse_err_ty = Invalid, parse_err_fn = Invalid::unknown_value::<FailureGroup>)]
pub enum FailureGroup {
    Dns,
    Connection,
    Tls,
    /// Connecting included.
    Timeout,
    #[strum(serialize = "3xx")]
    Redirect,
    /// Without 429.
    #[strum(serialize = "4xx")]
    Client,
    #[strum(serialize = "429")]
    TooMany,
    #[strum(serialize = "5xx")]
    Server,
    /// The operator's policy forbids the target.
    Blocked,
    /// Invalid HTTP, unknown statuses, missing access tokens, and faults of Hookpost itself.
    Other,
}

/// Filter by the error code of the last attempt and the status of its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    pub error_code: ErrorCode,
    /// Lowest and highest status; `None` for any.
    pub codes: Option<(u16, u16)>,
}

impl Slice {
    fn holds(self, error_code: ErrorCode, code: Option<u16>) -> bool {
        self.error_code == error_code
            && self.codes.is_none_or(|(low, high)| code.is_some_and(|code| (low..=high).contains(&code)))
    }
}

impl FailureGroup {
    /// Returns the group of a failed attempt. A broken connection counts as such even if a status had arrived.
    pub fn of(error_code: Option<ErrorCode>, code: Option<u16>) -> FailureGroup {
        let Some(error_code) = error_code else {
            return FailureGroup::Other;
        };
        let holds = |group: &&FailureGroup| group.slices().iter().any(|slice| slice.holds(error_code, code));
        FailureGroup::VARIANTS.iter().find(holds).copied().unwrap_or(FailureGroup::Other)
    }

    /// Filters whose results together make up the group.
    pub fn slices(self) -> &'static [Slice] {
        use ErrorCode::*;
        const fn of(error_code: ErrorCode) -> Slice {
            Slice { error_code, codes: None }
        }
        const fn answers(low: u16, high: u16) -> Slice {
            Slice { error_code: Status, codes: Some((low, high)) }
        }
        match self {
            FailureGroup::Dns => const { &[of(DnsFailed)] },
            FailureGroup::Connection => const { &[of(ConnectRefused), of(ConnectFailed), of(ConnectionReset)] },
            FailureGroup::Tls => {
                const { &[of(TlsExpired), of(TlsUntrusted), of(TlsWrongHost), of(TlsClientCertificate), of(TlsFailed)] }
            }
            FailureGroup::Timeout => const { &[of(Timeout), of(ConnectTimeout)] },
            FailureGroup::Redirect => const { &[answers(300, 399)] },
            FailureGroup::Client => const { &[answers(400, 428), answers(430, 499)] },
            FailureGroup::TooMany => const { &[answers(429, 429)] },
            FailureGroup::Server => const { &[answers(500, 599)] },
            FailureGroup::Blocked => const { &[of(TargetBlocked)] },
            FailureGroup::Other => {
                const {
                    &[
                        of(ProtocolError),
                        of(TokenFailed),
                        of(EventDamaged),
                        of(ComposeFailed),
                        of(TemplateFailed),
                        of(WorkerPanic),
                        answers(0, 299),
                        answers(600, 999),
                    ]
                }
            }
        }
    }

    /// Heading of the group's column or row.
    pub fn label(self) -> &'static str {
        match self {
            FailureGroup::Dns => "DNS",
            FailureGroup::Connection => "Connection",
            FailureGroup::Tls => "TLS",
            FailureGroup::Timeout => "Timeout",
            FailureGroup::Redirect => "3xx redirects",
            FailureGroup::Client => "4xx refused",
            FailureGroup::TooMany => "429 too many",
            FailureGroup::Server => "5xx server errors",
            FailureGroup::Blocked => "Blocked",
            FailureGroup::Other => "Other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_is_in_one_group_and_its_filter_finds_it_there_alone() {
        for &error_code in ErrorCode::VARIANTS {
            for code in 100..1000 {
                let group = FailureGroup::of(Some(error_code), Some(code));
                let holding: Vec<_> = FailureGroup::VARIANTS
                    .iter()
                    .filter(|group| {
                        let holds = |slice: &&Slice| slice.holds(error_code, Some(code));
                        group.slices().iter().filter(holds).count() == 1
                    })
                    .collect();
                assert_eq!(holding, [&group], "{error_code} {code}");
            }
        }
    }

    #[test]
    fn failures_are_grouped_by_what_a_person_would_look_at() {
        use ErrorCode as Code;
        for (error_code, code, group) in [
            (Code::DnsFailed, None, "dns"),
            (Code::ConnectRefused, None, "connection"),
            (Code::ConnectFailed, None, "connection"),
            (Code::ConnectionReset, Some(200), "connection"),
            (Code::TlsExpired, None, "tls"),
            (Code::TlsFailed, None, "tls"),
            (Code::ConnectTimeout, None, "timeout"),
            (Code::Timeout, Some(500), "timeout"),
            (Code::Status, Some(302), "3xx"),
            (Code::Status, Some(410), "4xx"),
            (Code::Status, Some(429), "429"),
            (Code::Status, Some(503), "5xx"),
            (Code::TargetBlocked, None, "blocked"),
            (Code::ProtocolError, Some(101), "other"),
            (Code::Status, Some(999), "other"),
            (Code::EventDamaged, None, "other"),
            (Code::ComposeFailed, None, "other"),
            (Code::WorkerPanic, None, "other"),
        ] {
            assert_eq!(FailureGroup::of(Some(error_code), code).into_str(), group);
            assert_eq!(group.parse::<FailureGroup>().unwrap().into_str(), group);
        }
        assert_eq!(FailureGroup::of(None, None), FailureGroup::Other);
    }
}
