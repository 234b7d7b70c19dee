//! Extend-add: summing a child's Schur complement into the front of its user.

use super::kernels::{Shape, PANEL};

/// How the rows of a child's Schur complement lie in its user's front: first those that are pivots there,
/// then the others, both in the child's order.
#[derive(Default)]
pub(super) struct Embedding {
    /// Row in the child, row in the front.
    pub rows: Vec<(u32, u32)>,
    /// Rows that are pivots of the front.
    pub pivots: usize,
    /// Where a row begins in the child's, the factor's and the Schur complement's panels.
    entries: Vec<Entry>,
}

#[derive(Clone, Copy)]
struct Entry {
    child: u32,
    target: u32,
}

impl Embedding {
    /// Adds the child's Schur complement to the front.
    pub fn extend_add(
        &mut self,
        child: &[f64],
        shape: Shape,
        front: &mut [f64],
        schur: &mut [f64],
    ) {
        // Fits: the limit on the size of fronts is far below 2^32 doubles.
        let factor_place =
            |row: u32| (row as usize / PANEL * shape.factor_stride() + row as usize % PANEL) as u32;
        let schur_place =
            |row: u32| (Shape::schur_panel(row as usize / PANEL) + row as usize % PANEL) as u32;
        let boundary_row = shape.boundary_row() as u32;
        let (pivots, others) = self.rows.split_at(self.pivots);
        // Columns that are pivots: rows below in the same list, and all the other rows. The child keeps its
        // lower triangle only, so whichever index is larger there is the row.
        self.entries.clear();
        self.entries.extend(
            self.rows
                .iter()
                .map(|&(i, row)| Entry { child: schur_place(i), target: factor_place(row) }),
        );
        let mut above = 0;
        for (number, &(j, column)) in pivots.iter().enumerate() {
            while above < others.len() && others[above].0 < j {
                above += 1;
            }
            let target = &mut front[PANEL * column as usize..];
            let source = &child[PANEL * j as usize..];
            add_entries(&self.entries[number..self.pivots], source, target);
            add_entries(&self.entries[self.pivots + above..], source, target);
            let child_row = self.entries[number].child as usize;
            for (entry, &(i, _)) in self.entries[self.pivots..].iter().zip(&others[..above]) {
                target[entry.target as usize] += child[child_row + PANEL * i as usize];
            }
        }
        for (entry, &(_, row)) in self.entries[self.pivots..].iter_mut().zip(others) {
            entry.target = schur_place(row - boundary_row);
        }
        for (number, &(j, column)) in others.iter().enumerate() {
            let target = &mut schur[PANEL * (column - boundary_row) as usize..];
            let source = &child[PANEL * j as usize..];
            add_entries(&self.entries[self.pivots + number..], source, target);
        }
    }
}

/// Adds one column.
fn add_entries(entries: &[Entry], source: &[f64], target: &mut [f64]) {
    for entry in entries {
        target[entry.target as usize] += source[entry.child as usize];
    }
}
