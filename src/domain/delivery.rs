//! The states of a delivery and what set off an attempt.

/// Text forms shared by the API, the database and the pages.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &[$name] = &[$($name::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::Invalid;

            fn from_str(text: &str) -> Result<$name, $crate::domain::Invalid> {
                $name::ALL.iter().copied().find(|value| value.as_str() == text).ok_or_else(|| {
                    let known: Vec<_> = $name::ALL.iter().map(|value| value.as_str()).collect();
                    $crate::domain::Invalid::new(
                        "invalid_value",
                        format!("{text:?} is none of {}.", known.join(", ")),
                    )
                })
            }
        }
    };
}
pub(crate) use text_enum;

text_enum!(
    /// Where a delivery stands, as people see it.
    DeliveryStatus {
        /// No attempt has failed yet.
        Pending = "pending",
        /// At least one attempt failed, another will follow.
        Retrying = "retrying",
        Delivered = "delivered",
        /// A dead letter: its attempts are used up.
        Failed = "failed",
        /// Given up by a person.
        Discarded = "discarded",
    }
);

impl DeliveryStatus {
    /// Whether no further attempt follows by itself.
    pub fn is_finished(self) -> bool {
        !matches!(self, DeliveryStatus::Pending | DeliveryStatus::Retrying)
    }
}

text_enum!(
    /// What set off an attempt.
    Trigger {
        /// The first attempt of a delivery.
        Initial = "initial",
        /// The schedule.
        Automatic = "automatic",
        /// A person.
        Manual = "manual",
        Test = "test",
        Challenge = "challenge",
    }
);

text_enum!(
    /// How a delivery came to be.
    Cause {
        /// An event was published.
        Event = "event",
        /// A stored event was sent again on request.
        Replay = "replay",
        /// A test was asked for.
        Test = "test",
    }
);
