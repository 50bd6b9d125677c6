//! Enums whose text forms the API, the database and the pages share.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use hookpost::actions::show_event::MissedReason;
use hookpost::actions::statistics::Window;
use hookpost::domain::Invalid;
use hookpost::domain::attempt::ErrorCode;
use hookpost::domain::audit_action::AuditAction;
use hookpost::domain::delivery::{Cause, DeliveryStatus, Trigger};
use hookpost::domain::failure_group::FailureGroup;
use hookpost::domain::signing::Signing;
use hookpost::domain::webhook::{DisabledReason, Waiting, WebhookState};
use hookpost::profile::snippet::Language;
use hookpost::store::api_key::Scope;
use hookpost::store::one_time_link::LinkKind;
use hookpost::store::user::Role;
use strum::VariantArray;

fn reads_back<T>()
where
    T: VariantArray + Copy + Debug + Display + PartialEq + Into<&'static str> + FromStr<Err = Invalid>,
{
    for &variant in T::VARIANTS {
        let text: &'static str = variant.into();
        assert_eq!(text.parse(), Ok(variant));
        assert_eq!(variant.to_string(), text);
    }
    let invalid = "nothing".parse::<T>().unwrap_err();
    for &variant in T::VARIANTS {
        assert!(invalid.message.contains(variant.into()), "{}", invalid.message);
    }
}

#[test]
fn every_variant_reads_back_and_an_unknown_text_is_told_the_valid_ones() {
    reads_back::<AuditAction>();
    reads_back::<Cause>();
    reads_back::<DeliveryStatus>();
    reads_back::<DisabledReason>();
    reads_back::<ErrorCode>();
    reads_back::<FailureGroup>();
    reads_back::<Language>();
    reads_back::<LinkKind>();
    reads_back::<MissedReason>();
    reads_back::<Role>();
    reads_back::<Scope>();
    reads_back::<Signing>();
    reads_back::<Trigger>();
    reads_back::<Waiting>();
    reads_back::<WebhookState>();
    reads_back::<Window>();
}
