//! Numbers as JSON spells them, without a conversion to doubles.

use std::cmp::Ordering;

/// Largest power of ten by which a number is scaled.
const MAX_SCALE: u32 = 30;

/// `digits` × 10^-`scale`.
#[derive(Debug, Clone, Copy)]
struct Decimal {
    digits: i128,
    scale: u32,
}

/// Compares two JSON numbers of any size exactly.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (Parts::of(a), Parts::of(b));
    match (a.sign(), b.sign()) {
        (a_sign, b_sign) if a_sign != b_sign => a_sign.cmp(&b_sign),
        (-1, _) => b.compare_magnitude(&a),
        (0, _) => Ordering::Equal,
        _ => a.compare_magnitude(&b),
    }
}

/// Whether a JSON number is zero.
pub(super) fn is_zero(number: &str) -> bool {
    Parts::of(number).sign() == 0
}

/// Significant digits of a number: 0.`digits` × 10^`exponent`.
struct Parts {
    is_negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Parts {
    fn of(number: &str) -> Parts {
        let is_negative = number.starts_with('-');
        let number = number.trim_start_matches('-');
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        // An exponent beyond an i64 is as good as the largest.
        let limit = if exponent.starts_with('-') { i64::MIN / 4 } else { i64::MAX / 4 };
        let exponent = exponent.parse().unwrap_or(limit).clamp(i64::MIN / 4, i64::MAX / 4);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole, fraction].concat();
        let zeros = all.len() - all.trim_start_matches('0').len();
        let digits = all.trim_matches('0').as_bytes().to_vec();
        Parts { is_negative, digits, exponent: exponent + whole.len() as i64 - zeros as i64 }
    }

    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.is_negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    fn compare_magnitude(&self, other: &Parts) -> Ordering {
        self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits))
    }
}

impl Decimal {
    /// `None` if the number has more digits than fit.
    fn parse(number: &str) -> Option<Decimal> {
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: i128 = [whole, fraction].concat().parse().ok()?;
        let scale = fraction.len() as i64 - exponent.parse::<i64>().ok()?;
        let unscaled = Decimal { digits, scale: u32::try_from(scale.max(0)).ok()? };
        if scale >= 0 {
            return (unscaled.scale <= MAX_SCALE).then_some(unscaled);
        }
        let power = u32::try_from(-scale).ok().filter(|power| *power <= MAX_SCALE)?;
        Some(Decimal { digits: digits.checked_mul(10_i128.pow(power))?, scale: 0 })
    }

    fn rescaled(self, scale: u32) -> Option<i128> {
        self.digits.checked_mul(10_i128.checked_pow(scale - self.scale)?)
    }

    fn without_trailing_zeros(mut self) -> Decimal {
        while self.scale > 0 && self.digits % 10 == 0 {
            self.digits /= 10;
            self.scale -= 1;
        }
        self
    }

    fn print(self) -> String {
        let sign = if self.digits < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", self.digits.unsigned_abs(), width = self.scale as usize + 1);
        let (whole, fraction) = digits.split_at(digits.len() - self.scale as usize);
        if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
}

/// Computes exactly, apart from a quotient without an end, which is that of doubles. `None` if the result does not fit, or
/// for a division by zero.
pub(super) fn compute(operation: Operation, a: &str, b: &str) -> Option<String> {
    let (x, y) = (Decimal::parse(a)?, Decimal::parse(b)?);
    let scale = x.scale.max(y.scale);
    let result = match operation {
        Operation::Add => Decimal { digits: x.rescaled(scale)?.checked_add(y.rescaled(scale)?)?, scale },
        Operation::Subtract => Decimal { digits: x.rescaled(scale)?.checked_sub(y.rescaled(scale)?)?, scale },
        Operation::Multiply => {
            Decimal { digits: x.digits.checked_mul(y.digits)?, scale: x.scale + y.scale }.without_trailing_zeros()
        }
        Operation::Divide => match quotient(x.rescaled(scale)?, y.rescaled(scale)?) {
            Some(exact) => exact,
            None => {
                let double = a.parse::<f64>().ok()? / b.parse::<f64>().ok()?;
                return double.is_finite().then(|| ryu_js::Buffer::new().format_finite(double).to_owned());
            }
        },
        Operation::FloorDivide => {
            let (x, y) = (x.rescaled(scale)?, y.rescaled(scale)?);
            let remainder = x.checked_rem(y)?;
            let whole = x.checked_div(y)?;
            let digits = if remainder != 0 && (remainder < 0) != (y < 0) { whole - 1 } else { whole };
            Decimal { digits, scale: 0 }
        }
        Operation::Remainder => {
            let (x, y) = (x.rescaled(scale)?, y.rescaled(scale)?);
            let remainder = x.checked_rem(y)?;
            let digits = if remainder != 0 && (remainder < 0) != (y < 0) { remainder + y } else { remainder };
            Decimal { digits, scale }
        }
    };
    (result.scale <= MAX_SCALE).then(|| result.print())
}

/// Returns a quotient that has at most 18 decimals.
fn quotient(a: i128, b: i128) -> Option<Decimal> {
    (0..=18).find_map(|scale| {
        let scaled = a.checked_mul(10_i128.pow(scale))?;
        (scaled.checked_rem(b)? == 0).then(|| Decimal { digits: scaled / b, scale })
    })
}

/// Rounds half away from zero to a number of decimals. A number that does not fit is left as it is.
pub(super) fn round(number: &str, decimals: u32) -> String {
    let Some(decimal) = Decimal::parse(number).filter(|_| decimals <= MAX_SCALE) else {
        return number.to_owned();
    };
    if decimal.scale <= decimals {
        return decimal.print();
    }
    let power = 10_i128.pow(decimal.scale - decimals);
    let half = if decimal.digits < 0 { -power / 2 } else { power / 2 };
    match decimal.digits.checked_add(half) {
        Some(digits) => Decimal { digits: digits / power, scale: decimals }.print(),
        None => number.to_owned(),
    }
}

/// Returns a number with the opposite sign.
pub(super) fn negate(number: &str) -> String {
    number.strip_prefix('-').map_or_else(|| format!("-{number}"), str::to_owned)
}

/// Whether the text is a number in JSON.
pub(super) fn is_number(text: &str) -> bool {
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok_and(|raw| raw.get() == text)
}

/// Whether a JSON number has the value of an integer, as far as arithmetic here reaches.
pub(super) fn to_index(number: &str) -> Option<i64> {
    let decimal = Decimal::parse(number)?.without_trailing_zeros();
    (decimal.scale == 0).then(|| i64::try_from(decimal.digits).ok()).flatten()
}
