//! The battery-backed clock's encoding.

/// Microseconds since 1970-01-01 for the clock's registers (second, minute, hour, day, month, year, century), given
/// its mode register (bit 1: 24 hours, bit 2: binary). A century register of zero means 20xx.
pub fn clock_to_micros(registers: [u8; 7], mode: u8) -> i64 {
    let [second, minute, hour, day, month, year, century] = registers;
    let number = |v: u8| i64::from(if mode & 0b100 != 0 { v } else { (v >> 4) * 10 + (v & 0xf) });
    let mut h = number(hour & 0x7f);
    if mode & 0b010 == 0 {
        h = h % 12 + if hour & 0x80 != 0 { 12 } else { 0 };
    }
    let century = if century == 0 { 20 } else { number(century) };
    let days =
        days_from_civil(century * 100 + number(year), number(month).clamp(1, 12), number(day).clamp(1, 31));
    (((days * 24 + h) * 60 + number(minute)) * 60 + number(second)) * 1_000_000
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar; years counted from March so that the leap day is last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (y.div_euclid(400), y.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_encodings_and_both_hour_modes() {
        // 2024-02-29 13:05:59
        let want = 1_709_211_959_000_000;
        assert_eq!(clock_to_micros([59, 5, 13, 29, 2, 24, 20], 0b110), want);
        assert_eq!(clock_to_micros([0x59, 0x05, 0x13, 0x29, 0x02, 0x24, 0x20], 0b010), want);
        assert_eq!(clock_to_micros([0x59, 0x05, 0x81, 0x29, 0x02, 0x24, 0], 0b000), want);
        assert_eq!(clock_to_micros([0, 0, 0, 1, 1, 70, 19], 0b110), 0);
    }
}
