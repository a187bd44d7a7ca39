//! How a simulated tracker answers commands, in the words of real ones.

use super::wire::Condition;

/// Does what a command says and answers it.
pub(crate) fn obey(text: &str, condition: &mut Condition, place: (f64, f64)) -> String {
    let text = text.trim().trim_end_matches('#').to_ascii_uppercase();
    let (word, arguments) = text.split_once(',').unwrap_or((&text, ""));
    match (word, arguments) {
        ("RELAY", "1") if condition.fuel_cut => {
            "Already in the state of fuel supply cut off, the command is not running!".to_owned()
        }
        ("RELAY", "1") => {
            condition.fuel_cut = true;
            "Cut off the fuel supply: Success!".to_owned()
        }
        ("RELAY", "0") if !condition.fuel_cut => {
            "Already in the state of fuel supply to resume, the command is not running!".to_owned()
        }
        ("RELAY", "0") => {
            condition.fuel_cut = false;
            "Restore fuel supply: Success!".to_owned()
        }
        ("DYD", _) => {
            condition.fuel_cut = true;
            "DYD=Success!".to_owned()
        }
        ("HFYD", _) => {
            condition.fuel_cut = false;
            "HFYD=Success!".to_owned()
        }
        ("WHERE" | "DWXX" | "LJDW", _) => format!(
            "Lat:{}{:.6},Lon:{}{:.6}",
            if place.0 < 0.0 { 'S' } else { 'N' },
            place.0.abs(),
            if place.1 < 0.0 { 'W' } else { 'E' },
            place.1.abs()
        ),
        ("STATUS", _) => format!(
            "Battery:4.16V,NORMAL; GPRS:Link Up; GSM Signal Level:Strong; GPS:Successful \
             positioning; ACC:{}; Defense:OFF",
            if condition.ignition { "ON" } else { "OFF" }
        ),
        ("VERSION", _) => concat!("[VERSION]SIMULATED_", env!("CARGO_PKG_VERSION")).to_owned(),
        ("TIMER" | "HBT" | "GMT" | "SOS" | "SPEED" | "DEFENSE" | "SERVER" | "APN", _) => {
            "OK!".to_owned()
        }
        _ => "Error! Unknown command".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relay_is_switched_and_says_when_it_already_was() {
        let mut condition = Condition {
            ignition: true,
            fuel_cut: false,
            battery: 6,
            signal: 4,
        };
        let mut say = |text| obey(text, &mut condition, (-25.0, -17.0));
        assert!(say("RELAY,1#").contains("Success"));
        assert!(say("relay,1#").starts_with("Already"));
        assert!(say("RELAY,0#").contains("Success"));
        assert_eq!(say("WHERE#"), "Lat:S25.000000,Lon:W17.000000");
        assert!(say("MAKE,TEA#").starts_with("Error"));
    }
}
