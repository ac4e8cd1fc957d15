//! `to_char` of numbers and `to_number`: templates such as `FM999,990.00`.

use alloc::{format, string::String, vec::Vec};

use pg_types::{Result, SqlError, SqlState, numeric::Numeric, oid::*};

use crate::{call::row, datetime::to_char::ordinal, def::Function, table::def};

/// A place of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// `9` (false) or `0` (true): a digit.
    Digit(bool),
    /// `.` or `D`.
    Point,
    /// `,` or `G`.
    Group,
    /// `L`: the currency symbol, of which there is none but a blank.
    Currency,
    /// `S`: the sign where it stands.
    Sign,
    /// `MI`: a minus or a blank.
    Minus,
    /// `PL`: a plus or a blank.
    Plus,
    /// `SG`: plus or minus.
    AnySign,
    /// `RN` or `rn`.
    Roman(bool),
    /// `TH` or `th`.
    Ordinal(bool),
    /// Stands for itself.
    Text(char),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum SignPlace {
    #[default]
    None,
    Before,
    After,
}

/// A template taken apart.
#[derive(Default)]
struct Template {
    places: Vec<Place>,
    /// Digits before and after the point.
    pre: usize,
    post: usize,
    /// Number of the first and last `0`, counting digits and the point from 1; 0: none.
    zero_first: usize,
    zero_last: usize,
    /// Decimal shift of `V`.
    shift: Option<u32>,
    fill: bool,
    point: bool,
    bracket: bool,
    plus: bool,
    minus: bool,
    sign: SignPlace,
    scientific: bool,
    roman: bool,
}

#[cold]
fn syntax(message: &'static str) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, message)
}

/// The keywords, longest first.
const WORDS: [&str; 19] = [
    "EEEE", "FM", "MI", "PL", "PR", "RN", "SG", "SP", "TH", ",", ".", "0", "9", "B", "C", "D", "G", "L", "S",
];

impl Template {
    fn parse(text: &str) -> Result<Self> {
        let mut t = Self::default();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(quoted) = rest.strip_prefix('"') {
                let mut chars = quoted.chars();
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => t.places.push(Place::Text(chars.next().unwrap_or('\\'))),
                        c => t.places.push(Place::Text(c)),
                    }
                }
                rest = chars.as_str();
                continue;
            }
            let word = WORDS.iter().find(|w| {
                rest.get(..w.len()).is_some_and(|r| {
                    r.eq_ignore_ascii_case(w) && (r == **w || r.bytes().all(|b| !b.is_ascii_uppercase()))
                })
            });
            let is_shift = matches!(c, 'V' | 'v');
            match word {
                Some(word) => {
                    let (used, tail) = rest.split_at(word.len());
                    rest = tail;
                    t.add(word, used)?;
                }
                None if is_shift => {
                    rest = rest.get(1..).unwrap_or_default();
                    if t.point {
                        return Err(syntax("cannot use \"V\" and decimal point together"));
                    }
                    t.shift = Some(0);
                }
                None => {
                    let c = if rest.starts_with("\\\"") { '"' } else { c };
                    let skip = if c == '"' { 2 } else { c.len_utf8() };
                    t.places.push(Place::Text(c));
                    rest = rest.get(skip..).unwrap_or_default();
                }
            }
        }
        Ok(t)
    }

    fn add(&mut self, word: &str, used: &str) -> Result<()> {
        if self.scientific && word != "EEEE" {
            return Err(syntax("\"EEEE\" must be the last pattern used"));
        }
        match word {
            "9" | "0" => self.digit(word == "0")?,
            "," | "G" => self.places.push(Place::Group),
            "." | "D" => {
                if self.point {
                    return Err(syntax("multiple decimal points"));
                }
                if self.shift.is_some() {
                    return Err(syntax("cannot use \"V\" and decimal point together"));
                }
                self.point = true;
                self.places.push(Place::Point);
            }
            "B" | "C" | "SP" => {}
            "FM" => self.fill = true,
            "L" => self.places.push(Place::Currency),
            "S" => self.signed()?,
            "MI" => {
                if self.sign != SignPlace::None {
                    return Err(syntax("cannot use \"S\" and \"MI\" together"));
                }
                self.minus = true;
                self.places.push(Place::Minus);
            }
            "PL" => {
                if self.sign != SignPlace::None {
                    return Err(syntax("cannot use \"S\" and \"PL\" together"));
                }
                self.plus = true;
                self.places.push(Place::Plus);
            }
            "SG" => {
                if self.sign != SignPlace::None {
                    return Err(syntax("cannot use \"S\" and \"SG\" together"));
                }
                (self.plus, self.minus) = (true, true);
                self.places.push(Place::AnySign);
            }
            "PR" => {
                if self.sign != SignPlace::None || self.plus || self.minus {
                    return Err(syntax("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together"));
                }
                self.bracket = true;
            }
            "RN" => {
                self.roman = true;
                self.places.push(Place::Roman(used == "RN"));
            }
            "TH" => self.places.push(Place::Ordinal(used == "TH")),
            _ => {
                if self.scientific {
                    return Err(syntax("cannot use \"EEEE\" twice"));
                }
                let other = self.fill
                    || self.bracket
                    || self.sign != SignPlace::None
                    || self.plus
                    || self.minus
                    || self.roman
                    || self.shift.is_some();
                if other {
                    return Err(syntax("\"EEEE\" is incompatible with other formats").detail(
                        "\"EEEE\" may only be used together with digit and decimal point patterns.",
                    ));
                }
                self.scientific = true;
            }
        }
        Ok(())
    }

    fn digit(&mut self, zero: bool) -> Result<()> {
        if self.bracket {
            let message =
                if zero { "\"0\" must be ahead of \"PR\"" } else { "\"9\" must be ahead of \"PR\"" };
            return Err(syntax(message));
        }
        if let Some(shift) = &mut self.shift {
            *shift += 1;
            self.pre += 1;
        } else if self.point {
            self.post += 1;
        } else {
            self.pre += 1;
        }
        if zero {
            if self.zero_first == 0 && !self.point {
                self.zero_first = self.pre;
            }
            self.zero_last = self.pre + self.post;
        }
        self.places.push(Place::Digit(zero));
        Ok(())
    }

    fn signed(&mut self) -> Result<()> {
        if self.sign != SignPlace::None {
            return Err(syntax("cannot use \"S\" twice"));
        }
        if self.plus || self.minus || self.bracket {
            return Err(syntax("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together"));
        }
        let digits_before = self.pre + self.post > 0;
        self.sign = if digits_before { SignPlace::After } else { SignPlace::Before };
        self.places.push(Place::Sign);
        Ok(())
    }
}

/// A number in Roman numerals; outside 1 to 3999 there are none.
fn roman(n: i128) -> Option<String> {
    const STEPS: [(i128, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if !(1..4000).contains(&n) {
        return None;
    }
    let (mut n, mut out) = (n, String::new());
    for (value, letters) in STEPS {
        while n >= value {
            out.push_str(letters);
            n -= value;
        }
    }
    Some(out)
}

/// What is written: the digits of the absolute value and the sign.
struct Digits {
    negative: bool,
    /// Before the point.
    whole: String,
    /// After it, as many as the template has.
    fraction: String,
}

impl Digits {
    /// From the decimal text of an absolute value; `#` where the digits before the point do not fit.
    fn new(text: &str, negative: bool, t: &Template) -> Self {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if whole.len() > t.pre {
            return Self { negative, whole: "#".repeat(t.pre), fraction: "#".repeat(t.post) };
        }
        Self { negative, whole: whole.into(), fraction: fraction.into() }
    }
}

/// A number to be written.
enum Number<'a> {
    Exact(&'a Numeric),
    /// A float and how many of its decimal digits mean something.
    Float(f64, usize),
}

impl Number<'_> {
    /// The digits rounded for a template. A float too long for its precision loses decimals, template and all.
    fn digits(&self, t: &mut Template) -> Result<Digits> {
        match self {
            Self::Exact(n) => {
                let rounded = shifted(n, t)?.round(t.post as i32)?;
                let negative = rounded.signum() < 0 && !rounded.is_nan();
                Ok(Digits::new(&format!("{}", rounded.abs()), negative, t))
            }
            Self::Float(x, precision) => {
                let x = t.shift.map_or(*x, |shift| x * libm::pow(10.0, f64::from(shift)));
                let show = |decimals: usize| match x.is_infinite() {
                    true => String::from("Infinity"),
                    false => format!("{:.decimals$}", x.abs()),
                };
                let whole = show(0).len();
                t.post = t.post.min(precision.saturating_sub(whole));
                let text = show(t.post);
                let negative = x.is_sign_negative() && !x.is_nan();
                Ok(Digits::new(&text, negative, t))
            }
        }
    }

    fn exact(&self) -> Numeric {
        match self {
            Self::Exact(n) => (*n).clone(),
            Self::Float(x, 6) => Numeric::from_f32(*x as f32),
            Self::Float(x, _) => Numeric::from_f64(*x),
        }
    }
}

/// Multiplied by the power of ten that `V` asks for.
fn shifted(n: &Numeric, t: &Template) -> Result<Numeric> {
    match t.shift {
        Some(shift) => n.mul(&Numeric::from(10i64).pow(&Numeric::from(i64::from(shift)))?),
        None => Ok(n.clone()),
    }
}

/// Writes a number. Digits fill the places from the point outwards; places left of the number are blanks, or zeros
/// from the first `0` on.
fn write(n: &Number<'_>, text: &str) -> Result<String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let mut t = Template::parse(text)?;
    if t.scientific {
        return Ok(scientific(&n.exact(), &t));
    }
    if t.roman {
        return write_roman(n, &t);
    }
    let d = n.digits(&mut t)?;
    let mut w = Writer::new(&t, &d);
    for place in &t.places {
        // A point that no decimals follow ends the number, and with it everything, unless the number does not fit.
        if *place == Place::Point && t.pre > 0 && t.post == 0 && !d.whole.starts_with('#') {
            return Ok(w.out);
        }
        if matches!(place, Place::Ordinal(_)) && t.pre == 0 && !t.point && !d.negative {
            // Without a place for a digit the number is one that does not fit, of which only the point is left.
            return Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "\".\" is not a number"));
        }
        w.place(*place);
    }
    w.finish();
    Ok(w.out)
}

struct Writer<'a> {
    t: &'a Template,
    d: &'a Digits,
    out: String,
    /// Digit places passed.
    passed: usize,
    /// Blanks before the number.
    lead: usize,
    /// A digit has been written.
    started: bool,
    sign_done: bool,
    /// Decimals worth showing under FM.
    decimals: usize,
    after_point: bool,
}

impl<'a> Writer<'a> {
    fn new(t: &'a Template, d: &'a Digits) -> Self {
        let significant = d.fraction.trim_end_matches('0').len();
        let forced = t.zero_last.saturating_sub(t.pre);
        let decimals = if t.fill { significant.max(forced) } else { t.post };
        // MI, PL and SG write the sign where they stand; a positive sign alone needs none under FM.
        let own_sign = t.minus || t.plus;
        let sign_done =
            if own_sign { t.minus || !t.plus } else { !d.negative && t.fill && t.sign == SignPlace::None };
        Self {
            t,
            d,
            out: String::new(),
            passed: 0,
            lead: t.pre - d.whole.len().min(t.pre),
            started: false,
            sign_done,
            decimals,
            after_point: false,
        }
    }

    /// A lone zero before decimals is left out unless a `0` asks for it.
    fn hidden_zero(&self) -> bool {
        self.t.zero_first == 0 && self.d.whole == "0" && self.t.post > 0
    }

    /// Number of digit places before the number's first character.
    fn first_shown(&self) -> usize {
        let lead = if self.t.zero_first > 0 { self.lead.min(self.t.zero_first - 1) } else { self.lead };
        if self.hidden_zero() && !(self.t.fill && self.decimals == 0) { lead + 1 } else { lead }
    }

    /// Writes the sign where the number begins.
    fn leading_sign(&mut self) {
        if self.sign_done {
            return;
        }
        self.sign_done = true;
        match (self.t.sign, self.t.bracket) {
            (SignPlace::Before, _) => self.out.push(if self.d.negative { '-' } else { '+' }),
            (SignPlace::After, _) => self.sign_done = false,
            (_, true) if self.d.negative => self.out.push('<'),
            (_, true) => self.blank(),
            _ if self.d.negative => self.out.push('-'),
            _ => self.blank(),
        }
    }

    fn blank(&mut self) {
        if !self.t.fill {
            self.out.push(' ');
        }
    }

    fn place(&mut self, place: Place) {
        match place {
            Place::Digit(_) => self.digit(place == Place::Digit(true)),
            Place::Point => {
                // Without digits to stand before, an S comes last.
                let last = self.t.sign == SignPlace::Before && self.t.pre + self.t.post == 0;
                if !self.started && !last {
                    self.leading_sign();
                }
                self.after_point = true;
                if self.d.whole != "NaN" {
                    self.out.push('.');
                }
                self.started = true;
            }
            Place::Group => {
                if self.started {
                    self.out.push(',');
                } else {
                    self.blank();
                }
            }
            Place::Currency => self.blank_always(),
            Place::Sign => {
                if self.t.sign == SignPlace::After {
                    self.out.push(if self.d.negative { '-' } else { '+' });
                    self.sign_done = true;
                }
            }
            Place::Minus if self.d.negative => self.out.push('-'),
            Place::Plus if !self.d.negative => self.out.push('+'),
            Place::Minus | Place::Plus => self.blank(),
            Place::AnySign => self.out.push(if self.d.negative { '-' } else { '+' }),
            Place::Ordinal(upper) => {
                if !self.d.negative && !self.t.point && !self.d.whole.starts_with('#') {
                    let suffix = ordinal(&self.d.whole);
                    self.out.push_str(&if upper { suffix.to_ascii_uppercase() } else { suffix.into() });
                }
            }
            Place::Roman(_) => {}
            Place::Text(c) => self.out.push(c),
        }
    }

    fn blank_always(&mut self) {
        self.out.push(' ');
    }

    fn digit(&mut self, zero: bool) {
        if self.after_point {
            let n = self.passed - self.t.pre;
            self.passed += 1;
            if !self.started {
                self.leading_sign();
                self.started = true;
            }
            if n < self.decimals || zero {
                self.out.extend(self.d.fraction.as_bytes().get(n).copied().map(char::from));
            }
            return;
        }
        let n = self.passed;
        self.passed += 1;
        if n >= self.first_shown() {
            if !self.started {
                self.leading_sign();
            }
            self.started = true;
        }
        if n < self.lead {
            if self.started {
                self.out.push('0');
            } else {
                self.blank();
            }
            return;
        }
        if self.hidden_zero() && !self.started {
            self.blank();
            return;
        }
        let c = self.d.whole.as_bytes().get(n - self.lead).copied().unwrap_or(b'0');
        self.out.push(char::from(c));
    }

    /// What a bracket or a sign not yet written adds at the end.
    fn finish(&mut self) {
        // Text alone has no sign.
        let digits = self.t.pre + self.t.post > 0;
        if !self.started && digits || self.after_point && !digits && self.t.sign == SignPlace::Before {
            self.leading_sign();
        }
        if self.t.bracket {
            if self.d.negative { self.out.push('>') } else { self.blank() }
        }
    }
}

fn write_roman(n: &Number<'_>, t: &Template) -> Result<String> {
    let letters = match n {
        Number::Exact(n) => roman(n.to_i32()?.into()),
        Number::Float(x, _) => roman(libm::rint(*x) as i128),
    };
    let mut out = String::new();
    for place in &t.places {
        if let Place::Roman(upper) = place {
            let shown = letters.clone().unwrap_or_else(|| "#".repeat(15));
            let shown = if *upper { shown } else { shown.to_ascii_lowercase() };
            if t.fill {
                out.push_str(&shown);
            } else {
                out.push_str(&format!("{shown:>15}"));
            }
        }
    }
    Ok(out)
}

/// `d.ddde+xx`.
fn scientific(n: &Numeric, t: &Template) -> String {
    if !n.is_finite() {
        return format!(" {}.{}", "#".repeat(t.pre), "#".repeat(t.post + 4));
    }
    let sign = if n.signum() < 0 { '-' } else { ' ' };
    let text = format!("{}", n.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let Some(first) = all.iter().position(|b| *b != b'0') else {
        let zeros = "0".repeat(t.post);
        return if t.post > 0 { format!("{sign}0.{zeros}e+00") } else { format!("{sign}0e+00") };
    };
    let mut exponent = whole.len() as i64 - 1 - first as i64;
    let keep = t.post + 1;
    let mut kept: Vec<u8> = all.iter().skip(first).take(keep).copied().collect();
    kept.resize(keep, b'0');
    if all.get(first + keep).is_some_and(|b| *b >= b'5') {
        let mut i = keep;
        loop {
            if i == 0 {
                kept.insert(0, b'1');
                kept.pop();
                exponent += 1;
                break;
            }
            i -= 1;
            if let Some(b) = kept.get_mut(i) {
                if *b == b'9' {
                    *b = b'0';
                } else {
                    *b += 1;
                    break;
                }
            }
        }
    }
    let digits = String::from_utf8(kept).unwrap_or_default();
    let (head, tail) = digits.split_at(1);
    let point = if t.post > 0 { "." } else { "" };
    let e = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{head}{point}{tail}e{e}{:02}", exponent.unsigned_abs())
}

/// Reads a number by a template.
fn read(text: &str, template: &str) -> Result<Numeric> {
    let t = Template::parse(template)?;
    if t.scientific {
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "\"EEEE\" not supported for input"));
    }
    if t.roman {
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "\"RN\" not supported for input"));
    }
    let mut rest = text.trim_start();
    let mut negative = false;
    let mut digits = String::new();
    let mut point = false;
    let take_sign = |rest: &mut &str, negative: &mut bool| {
        let trimmed = rest.trim_start();
        if let Some(tail) = trimmed.strip_prefix(['-', '<']) {
            *negative = true;
            *rest = tail;
        } else if let Some(tail) = trimmed.strip_prefix('+') {
            *rest = tail;
        }
    };
    let takes_own_sign =
        t.places.iter().any(|p| matches!(p, Place::Sign | Place::Minus | Place::Plus | Place::AnySign));
    for place in &t.places {
        if rest.is_empty() {
            break;
        }
        match place {
            Place::Digit(_) => {
                let sign_here = !takes_own_sign || t.sign == SignPlace::After;
                if digits.is_empty() && !point && sign_here {
                    take_sign(&mut rest, &mut negative);
                }
                rest = rest.trim_start();
                match rest.chars().next() {
                    Some(c) if c.is_ascii_digit() => {
                        digits.push(c);
                        rest = rest.get(1..).unwrap_or_default();
                    }
                    Some('.') if !point && t.point => {}
                    _ => {}
                }
            }
            Place::Point => {
                // Digits beyond the template's places belong to the number's whole part all the same.
                if let Some(tail) = rest.strip_prefix('.') {
                    rest = tail;
                    point = true;
                    digits.push('.');
                }
            }
            Place::Group => rest = rest.strip_prefix(',').unwrap_or(rest),
            Place::Currency => {
                rest = rest
                    .trim_start_matches(|c: char| !c.is_ascii_digit() && c != '.' && c != '-' && c != '+');
            }
            Place::Sign | Place::Minus | Place::Plus | Place::AnySign => take_sign(&mut rest, &mut negative),
            Place::Ordinal(_) => {
                rest = rest.trim_start_matches(|c: char| c.is_ascii_alphabetic());
            }
            Place::Roman(_) => {}
            Place::Text(_) => {
                let len = rest.chars().next().map_or(0, char::len_utf8);
                rest = rest.get(len..).unwrap_or_default();
            }
        }
    }
    if rest.trim_start().starts_with('-') && !negative {
        negative = takes_own_sign;
    }
    let digits = digits.trim_end_matches('.');
    if digits.is_empty() {
        return Numeric::parse(" ");
    }
    let n = Numeric::parse(digits)?;
    let n = match t.shift {
        Some(shift) => n.div(&Numeric::from(10i64).pow(&Numeric::from(i64::from(shift)))?)?,
        None => n,
    };
    Ok(if negative { n.neg() } else { n })
}

/// Rows. An empty template yields an empty text, or NULL when reading.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(1773, "to_char", &[INT4, TEXT], TEXT)
        .stable()
        .imp(row!(|n: i32, t: &str| write(&Number::Exact(&Numeric::from(n)), t))),
    def(1774, "to_char", &[INT8, TEXT], TEXT)
        .stable()
        .imp(row!(|n: i64, t: &str| write(&Number::Exact(&Numeric::from(n)), t))),
    def(1772, "to_char", &[NUMERIC, TEXT], TEXT)
        .stable()
        .imp(row!(|n: &Numeric, t: &str| write(&Number::Exact(n), t))),
    def(1775, "to_char", &[FLOAT4, TEXT], TEXT)
        .stable()
        .imp(row!(|n: f32, t: &str| write(&Number::Float(n.into(), 6), t))),
    def(1776, "to_char", &[FLOAT8, TEXT], TEXT)
        .stable()
        .imp(row!(|n: f64, t: &str| write(&Number::Float(n, 15), t))),
    def(1777, "to_number", &[TEXT, TEXT], NUMERIC)
        .stable()
        .imp(row!(|s: &str, t: &str| { if t.is_empty() { None } else { Some(read(s, t)?) } })),
];
