//! The serving cell and its neighbours.
//!
//! Makers print each neighbour as signal, area and cell in different orders. Which one it is can
//! often be seen: the area code repeats, the signal is a small number.

use crate::read::{decimal, digits, exact, hex, trim, whole};

/// The order of a neighbour's three values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Signal, area, cell.
    SignalLacCell,
    /// Signal, cell, area.
    SignalCellLac,
    /// Area, cell, signal.
    LacCellSignal,
    /// Cell, area, signal.
    CellLacSignal,
    /// Cell and signal, no area.
    CellSignal,
    /// Groups of nine characters without commas: area 3, cell 4, signal 2 (decimal).
    Packed,
}

impl Order {
    /// Every order.
    pub const ALL: [Self; 6] = [
        Self::SignalLacCell,
        Self::SignalCellLac,
        Self::LacCellSignal,
        Self::CellLacSignal,
        Self::CellSignal,
        Self::Packed,
    ];

    /// The name in a dialect's table and in profiles.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignalLacCell => "signal,lac,cell",
            Self::SignalCellLac => "signal,cell,lac",
            Self::LacCellSignal => "lac,cell,signal",
            Self::CellLacSignal => "cell,lac,signal",
            Self::CellSignal => "cell,signal",
            Self::Packed => "packed",
        }
    }

    /// The order of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|order| order.name() == name)
    }

    /// The columns of area, cell and signal.
    pub(crate) const fn columns(self) -> (Option<usize>, usize, usize) {
        match self {
            Self::SignalLacCell => (Some(1), 2, 0),
            Self::SignalCellLac => (Some(2), 1, 0),
            Self::LacCellSignal => (Some(0), 1, 2),
            Self::CellLacSignal | Self::Packed => (Some(1), 0, 2),
            Self::CellSignal => (None, 0, 1),
        }
    }

    const fn of(lac: usize, cell: usize) -> Option<Self> {
        Some(match (lac, cell) {
            (1, 2) => Self::SignalLacCell,
            (2, 1) => Self::SignalCellLac,
            (0, 1) => Self::LacCellSignal,
            (1, 0) => Self::CellLacSignal,
            _ => return None,
        })
    }
}

/// The serving cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields of the vocabulary, documented at `Field`"
)]
pub struct Cells {
    pub mcc: Option<u16>,
    pub mnc: Option<u16>,
    pub lac: Option<u32>,
    pub cell: Option<u64>,
    /// The cell id was printed wider than 16 bits: LTE.
    pub is_wide: bool,
}

/// A neighbouring cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Neighbour {
    /// Area code; `None` where the order has none.
    pub lac: Option<u32>,
    /// Cell id.
    pub cell: u64,
    /// Signal as printed: CSQ, RxLev, loss or dBm, by maker.
    pub signal: Option<i16>,
    /// The cell id was printed wider than 16 bits.
    pub is_wide: bool,
}

/// Up to six neighbours, inline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Neighbours {
    len: u8,
    cells: [Neighbour; 6],
}

impl Neighbours {
    /// Appends a neighbour, unless there is no place left.
    pub fn push(&mut self, neighbour: Neighbour) {
        if let Some(place) = self.cells.get_mut(usize::from(self.len)) {
            *place = neighbour;
            self.len += 1;
        }
    }

    /// The neighbours.
    #[must_use]
    pub fn as_slice(&self) -> &[Neighbour] {
        self.cells.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// What a column's item says.
#[derive(Debug, Clone, Copy, Default)]
struct Value {
    /// As hexadecimal; `None` if it is none, or stands for nothing.
    id: Option<u64>,
    signal: Option<i16>,
    is_wide: bool,
}

impl Value {
    fn read(item: &[u8]) -> Self {
        let item = trim(item);
        let signal = match exact(digits::<1, 4>, item) {
            Some(value) => i16::try_from(value).ok(),
            None if item.len() <= 4 => Self::odd_signal(item),
            None => None,
        };
        Self {
            // Zeros and ones all over stand for no cell.
            id: exact(hex, item).filter(|id| *id != 0 && *id != 0xffff && *id != 0xffff_ffff),
            signal,
            is_wide: item.len() > 4,
        }
    }

    /// A signal with a sign, or with decimals that are zero.
    #[cold]
    fn odd_signal(item: &[u8]) -> Option<i16> {
        let value = exact(decimal, item).filter(|v| v.fract() == 0.0)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "four characters fit 16 bits"
        )]
        Some(value as i16)
    }
}

/// What the neighbours' items said about order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The order that the columns show, if only one fits.
    pub order: Option<Order>,
    /// The serving pair is printed cell first.
    pub is_swapped: bool,
}

impl Evidence {
    pub(crate) const fn usual(order: Order) -> Self {
        Self {
            order: Some(order),
            is_swapped: false,
        }
    }
}

/// Reads triples of items. `known` is the order by the device's profile; `usual` the dialect's.
/// What can be seen in the columns goes before what is usual.
pub(crate) fn triples<'a>(
    items: impl Iterator<Item = &'a [u8]> + Clone,
    serving: &Cells,
    known: Option<Order>,
    usual: Order,
) -> (Neighbours, Evidence) {
    let expected = known.unwrap_or(usual);
    if let Some(neighbours) = as_expected(items.clone(), serving, expected) {
        return (neighbours, Evidence::usual(expected));
    }
    by_columns(items, serving, known, usual)
}

/// The same, of items that are known not to be as expected.
pub(crate) fn by_columns<'a>(
    items: impl Iterator<Item = &'a [u8]>,
    serving: &Cells,
    known: Option<Order>,
    usual: Order,
) -> (Neighbours, Evidence) {
    let mut rows = [[Value::default(); 3]; 6];
    let mut count = 0;
    for (at, item) in items.enumerate() {
        if let Some(place) = rows.get_mut(at / 3).and_then(|row| row.get_mut(at % 3)) {
            *place = Value::read(item);
            count = at / 3 + 1;
        }
    }
    let rows = rows.get(..count).unwrap_or_default();
    let evidence = evidence(rows, serving);
    let order = known.or(evidence.order).unwrap_or(usual);
    let (lac, cell, signal) = order.columns();
    let mut neighbours = Neighbours::default();
    for row in rows {
        let column = |at: usize| row.get(at).copied().unwrap_or_default();
        let Some(id) = column(cell).id else { continue };
        let lac = lac.map(column);
        let signal = column(signal).signal;
        // A negative signal beside a five-digit number: carrier and physical cell of LTE, which
        // are no identity.
        let is_carrier = lac.is_some_and(|v| v.is_wide) && signal.is_some_and(|s| s < 0);
        if is_carrier {
            continue;
        }
        neighbours.push(Neighbour {
            lac: lac.and_then(|v| v.id).and_then(|v| u32::try_from(v).ok()),
            cell: id,
            signal,
            is_wide: column(cell).is_wide,
        });
    }
    (neighbours, evidence)
}

/// The usual case: the area's column of the expected order begins with the serving area, and each
/// value has its form. `None` in all other cases.
fn as_expected<'a>(
    mut items: impl Iterator<Item = &'a [u8]>,
    serving: &Cells,
    order: Order,
) -> Option<Neighbours> {
    let (lac, cell, signal) = order.columns();
    let lac_at = lac?;
    let mut neighbours = Neighbours::default();
    while let Some(first) = items.next() {
        let row = [first, items.next()?, items.next()?];
        let item = |at: usize| row.get(at).copied().unwrap_or_default();
        let lac = u32::try_from(exact(hex, item(lac_at))?).ok()?;
        let id = exact(hex, item(cell))?;
        let level = exact(digits::<1, 3>, item(signal))?;
        if neighbours.len == 0 && (Some(lac) != serving.lac || serving.cell == Some(lac.into())) {
            return None;
        }
        if id == 0 || id == 0xffff || lac == 0 {
            return None;
        }
        neighbours.push(Neighbour {
            lac: Some(lac),
            cell: id,
            signal: i16::try_from(level).ok(),
            is_wide: item(cell).len() > 4,
        });
    }
    (neighbours.len > 0).then_some(neighbours)
}

/// The order that columns show: the area's column repeats the serving area or itself, and of the
/// other two one holds signals only.
fn evidence(rows: &[[Value; 3]], serving: &Cells) -> Evidence {
    let (serving_lac, serving_cell) = (serving.lac.map(u64::from), serving.cell);
    let mut repeats = [0_u8; 3];
    let mut cells = [0_u8; 3];
    let mut signals = [true; 3];
    let mut full = 0;
    for (at, row) in rows.iter().enumerate() {
        if row.iter().all(|v| v.id.is_none()) {
            continue;
        }
        full += 1;
        for (column, value) in row.iter().enumerate() {
            let before = rows.get(..at).unwrap_or_default();
            let is_repeated = before
                .iter()
                .any(|r| value.id.is_some() && r.get(column).is_some_and(|v| v.id == value.id));
            if let (Some(n), Some(c), Some(s)) = (
                repeats.get_mut(column),
                cells.get_mut(column),
                signals.get_mut(column),
            ) {
                *n += u8::from(value.id.is_some() && value.id == serving_lac) * 2;
                *n += u8::from(is_repeated);
                *c += u8::from(value.id.is_some() && value.id == serving_cell);
                *s &= value.signal.is_some() && !value.is_wide;
            }
        }
    }
    if full == 0 {
        return Evidence::default();
    }
    // Signals stand first or last, never between.
    let orders = [
        Order::SignalLacCell,
        Order::SignalCellLac,
        Order::LacCellSignal,
        Order::CellLacSignal,
    ];
    let score = |order: Order| {
        let (lac, cell, signal) = order.columns();
        let at = |list: &[u8; 3], i: usize| list.get(i).copied().unwrap_or(0);
        let lac = lac.unwrap_or(0);
        let fits = signals.get(signal) == Some(&true);
        let area = at(&repeats, lac) + at(&cells, lac);
        (fits && area > 0 && area > at(&repeats, cell)).then_some((area, lac, cell))
    };
    let mut best = None;
    let mut is_only = true;
    for found in orders.into_iter().filter_map(score) {
        match best {
            Some((area, _, _)) if found.0 < area => {}
            Some((area, _, _)) if found.0 == area => is_only = false,
            _ => (best, is_only) = (Some(found), true),
        }
    }
    let Some((_, lac, cell)) = best.filter(|_| is_only) else {
        return Evidence::default();
    };
    let column = |list: &[u8; 3]| list.get(lac).copied().unwrap_or(0);
    // The area's column holds what is printed as the serving cell, and never the serving area.
    let says_lac = rows.iter().any(|r| {
        r.get(lac)
            .is_some_and(|v| v.id.is_some() && v.id == serving_lac)
    });
    Evidence {
        order: Order::of(lac, cell),
        is_swapped: column(&cells) > 0 && !says_lac,
    }
}

/// Reads neighbours that are run together in groups of nine.
pub(crate) fn packed(item: &[u8]) -> Neighbours {
    let mut neighbours = Neighbours::default();
    for group in trim(item).chunks_exact(9) {
        let parts = group
            .split_at_checked(3)
            .and_then(|(lac, rest)| rest.split_at_checked(4).map(|(cell, s)| (lac, cell, s)));
        let Some((lac, cell, signal)) = parts else {
            continue;
        };
        let Some(cell) = whole(hex, cell) else {
            continue;
        };
        neighbours.push(Neighbour {
            lac: whole(hex, lac).and_then(|v| u32::try_from(v).ok()),
            cell,
            signal: Value::read(signal).signal,
            is_wide: false,
        });
    }
    neighbours
}

/// Reads pairs of cell (decimal or hexadecimal) and signal.
pub(crate) fn pairs<'a>(mut items: impl Iterator<Item = &'a [u8]>) -> Neighbours {
    let mut neighbours = Neighbours::default();
    while let (Some(cell), Some(signal)) = (items.next(), items.next()) {
        if let Some(id) = Value::read(cell).id {
            neighbours.push(Neighbour {
                lac: None,
                cell: id,
                signal: Value::read(signal).signal,
                is_wide: trim(cell).len() > 4,
            });
        }
    }
    neighbours
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serving(lac: u32, cell: u64) -> Cells {
        Cells {
            lac: Some(lac),
            cell: Some(cell),
            ..Cells::default()
        }
    }

    fn see(line: &str, serving: &Cells) -> Evidence {
        triples(
            line.split(',').map(str::as_bytes),
            serving,
            None,
            Order::SignalLacCell,
        )
        .1
    }

    #[test]
    fn the_column_that_repeats_is_the_area() {
        let cells = serving(0x61b4, 0x9ad9);
        for (line, order) in [
            (
                "31,61B4,9ADB,28,61B4,9AE1,22,61B5,1F03",
                Order::SignalLacCell,
            ),
            (
                "31,9ADB,61B4,28,9AE1,61B4,22,1F03,61B5",
                Order::SignalCellLac,
            ),
            ("61B4,9ADB,31,61B4,9AE1,28", Order::LacCellSignal),
            ("9ADB,61B4,31,0,0,0,0,0,0", Order::CellLacSignal),
        ] {
            let found = see(line, &cells);
            assert_eq!(
                (found.order, found.is_swapped),
                (Some(order), false),
                "{line}"
            );
        }
        assert_eq!(see("0,0,0,0000,0000,00,ffff,0000,33", &cells).order, None);
    }

    #[test]
    fn a_serving_pair_that_is_printed_cell_first_is_seen_by_the_neighbours() {
        let found = see(
            "37,2ee0,ccc6,33,3a98,f24f,32,3a98,f26d,30,3a98,f2a9",
            &serving(0xccc7, 0x2ee0),
        );
        assert!(found.is_swapped);
        assert_eq!(found.order, Some(Order::SignalLacCell));
    }

    #[test]
    fn carriers_of_lte_are_no_cells() {
        let items = "-61,164,39150,-63,165,39150".split(',').map(str::as_bytes);
        let (found, _) = triples(items, &serving(1, 2), None, Order::SignalCellLac);
        assert!(found.as_slice().is_empty());
    }

    #[test]
    fn groups_of_nine_are_area_cell_and_signal() {
        let found = packed(b"998db1388999df1788");
        let first = found.as_slice()[0];
        assert_eq!(
            (first.lac, first.cell, first.signal),
            (Some(0x998), 0xdb13, Some(88))
        );
        assert_eq!(found.as_slice().len(), 2);
    }
}
