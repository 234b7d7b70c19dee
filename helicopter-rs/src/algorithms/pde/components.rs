//! Connected components of the hidden pixels, found row by row.
//!
//! Two pixels belong together if the matrix couples them, so the systems of different components are
//! independent. The finder keeps runs of pixels and a union-find forest over them; a component is
//! handed out as soon as no later row can touch it, so memory depends on the open components only, not
//! on the size of the image.

use super::bitmap::Bitmap;
use super::stencil::Kind;

/// Hidden pixels `from..to` of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub y: u32,
    pub from: u32,
    pub to: u32,
}

/// One component: its runs (in no particular order) and its bounding rectangle.
#[derive(Clone, Debug)]
pub(super) struct Component {
    pub runs: Vec<Run>,
    pub pixels: usize,
    pub top: u32,
    pub left: u32,
    pub bottom: u32,
    pub right: u32,
}

impl Component {
    pub fn height(&self) -> usize {
        (self.bottom - self.top) as usize
    }

    pub fn width(&self) -> usize {
        (self.right - self.left) as usize
    }

    /// The component as bits of its bounding rectangle.
    pub fn bitmap(&self) -> Bitmap {
        let mut bitmap = Bitmap::new(self.height(), self.width());
        for run in &self.runs {
            bitmap.set_run(
                (run.y - self.top) as usize,
                (run.from - self.left) as usize,
                (run.to - self.left) as usize,
            );
        }
        bitmap
    }
}

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Link {
    run: Run,
    next: u32,
    /// Component this run was put in (to be looked up in the forest).
    set: u32,
}

#[derive(Clone, Copy)]
struct Set {
    parent: u32,
    head: u32,
    tail: u32,
    pixels: usize,
    runs: u32,
    last_row: u32,
}

/// The row-by-row finder.
pub(super) struct Finder {
    reach: u32,
    links: Vec<Link>,
    free_links: u32,
    sets: Vec<Set>,
    free_sets: Vec<u32>,
    /// The runs of the newest rows, newest first.
    rows: [Vec<u32>; 3],
}

impl Finder {
    pub fn new(kind: Kind) -> Self {
        Finder {
            reach: kind.reach() as u32,
            links: Vec::new(),
            free_links: NONE,
            sets: Vec::new(),
            free_sets: Vec::new(),
            rows: Default::default(),
        }
    }

    /// Takes the next row and calls `done` for every component that ended before it could reach this row.
    pub fn push_row(&mut self, y: u32, hidden: &[u64], done: &mut impl FnMut(Component)) {
        let oldest = self.reach as usize;
        if let Some(old_y) = y.checked_sub(self.reach + 1) {
            let old = std::mem::take(&mut self.rows[oldest]);
            self.close(&old, old_y, done);
            self.rows[oldest] = old;
        }
        self.rows.rotate_right(1);
        let mut row = std::mem::take(&mut self.rows[0]);
        row.clear();
        for_each_run(hidden, |from, to| {
            let run = Run { y, from, to };
            let near = row
                .last()
                .copied()
                .filter(|&link: &u32| self.links[link as usize].run.to + self.reach > from);
            let set = match near {
                Some(link) => self.root(self.links[link as usize].set),
                None => self.new_set(y),
            };
            row.push(self.append(set, run));
        });
        self.join(&row, 1);
        if self.reach == 2 {
            self.join(&row, 2);
        }
        self.rows[0] = row;
    }

    /// Hands out the components still open after the last row, `height` being the number of rows.
    pub fn finish(&mut self, height: u32, done: &mut impl FnMut(Component)) {
        for age in (0..3).rev() {
            let old = std::mem::take(&mut self.rows[age]);
            if let Some(y) = height.checked_sub(age as u32 + 1) {
                self.close(&old, y, done);
            }
        }
    }

    /// Unites the new row's runs with those of the row `distance` above that they couple with.
    fn join(&mut self, row: &[u32], distance: usize) {
        let above = std::mem::take(&mut self.rows[distance]);
        // Biharmonic coupling reaches the diagonal neighbours too.
        let aside = self.reach - distance as u32;
        let mut first = 0;
        for &link in row {
            let Link { run, set, .. } = self.links[link as usize];
            while first < above.len()
                && self.links[above[first] as usize].run.to + aside <= run.from
            {
                first += 1;
            }
            let mut set = self.root(set);
            for &other in &above[first..] {
                let Link { run: upper, set: upper_set, .. } = self.links[other as usize];
                if upper.from >= run.to + aside {
                    break;
                }
                set = self.unite(set, upper_set);
            }
        }
        self.rows[distance] = above;
    }

    fn new_set(&mut self, y: u32) -> u32 {
        let fresh = Set { parent: NONE, head: NONE, tail: NONE, pixels: 0, runs: 0, last_row: y };
        if let Some(set) = self.free_sets.pop() {
            self.sets[set as usize] = fresh;
            return set;
        }
        self.sets.push(fresh);
        self.sets.len() as u32 - 1
    }

    fn append(&mut self, set: u32, run: Run) -> u32 {
        let fresh = Link { run, next: NONE, set };
        let link = if self.free_links == NONE {
            self.links.push(fresh);
            self.links.len() as u32 - 1
        } else {
            let link = self.free_links;
            self.free_links = self.links[link as usize].next;
            self.links[link as usize] = fresh;
            link
        };
        let owner = &mut self.sets[set as usize];
        let tail = owner.tail;
        owner.tail = link;
        owner.pixels += (run.to - run.from) as usize;
        owner.runs += 1;
        owner.last_row = run.y;
        if tail == NONE {
            owner.head = link;
        } else {
            self.links[tail as usize].next = link;
        }
        link
    }

    fn root(&mut self, mut set: u32) -> u32 {
        while self.sets[set as usize].parent != NONE {
            let parent = self.sets[set as usize].parent;
            let above = self.sets[parent as usize].parent;
            if above != NONE {
                // Halve the path.
                self.sets[set as usize].parent = above;
            }
            set = parent;
        }
        set
    }

    fn unite(&mut self, a: u32, b: u32) -> u32 {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return a;
        }
        let (big, small) =
            if self.sets[a as usize].runs >= self.sets[b as usize].runs { (a, b) } else { (b, a) };
        let lesser = self.sets[small as usize];
        self.sets[small as usize].parent = big;
        let greater = &mut self.sets[big as usize];
        let tail = greater.tail;
        greater.tail = lesser.tail;
        greater.pixels += lesser.pixels;
        greater.runs += lesser.runs;
        greater.last_row = greater.last_row.max(lesser.last_row);
        self.links[tail as usize].next = lesser.head;
        big
    }

    /// Hands out the components of these runs of row `y` that no newer row belongs to.
    fn close(&mut self, row: &[u32], y: u32, done: &mut impl FnMut(Component)) {
        for &link in row {
            let Link { run, set, .. } = self.links[link as usize];
            // A recycled link belongs to a component that has been handed out already.
            if run.y != y || set == NONE {
                continue;
            }
            let root = self.root(set);
            if self.sets[root as usize].last_row == y {
                done(self.collect(root));
            }
        }
    }

    fn collect(&mut self, root: u32) -> Component {
        let Set { head, tail, pixels, runs, .. } = self.sets[root as usize];
        let mut component = Component {
            runs: Vec::with_capacity(runs as usize),
            pixels,
            top: u32::MAX,
            left: u32::MAX,
            bottom: 0,
            right: 0,
        };
        let mut at = head;
        while at != NONE {
            let Link { run, next, set } = self.links[at as usize];
            component.top = component.top.min(run.y);
            component.bottom = component.bottom.max(run.y + 1);
            component.left = component.left.min(run.from);
            component.right = component.right.max(run.to);
            component.runs.push(run);
            self.links[at as usize].set = NONE;
            // Every set has a run that was put in it; the first one met recycles it.
            if self.sets[set as usize].runs != 0 {
                self.sets[set as usize].runs = 0;
                self.free_sets.push(set);
            }
            at = next;
        }
        self.links[tail as usize].next = self.free_links;
        self.free_links = head;
        component
    }
}

fn for_each_run(words: &[u64], mut visit: impl FnMut(u32, u32)) {
    let mut open: Option<u32> = None;
    for (number, &bits) in words.iter().enumerate() {
        let base = 64 * number as u32;
        let mut at = 0;
        while at < 64 {
            let rest = if open.is_some() { !bits >> at } else { bits >> at };
            let skip = rest.trailing_zeros();
            if skip >= 64 - at {
                break;
            }
            at += skip;
            match open.take() {
                Some(from) => visit(from, base + at),
                None => open = Some(base + at),
            }
        }
    }
    if let Some(from) = open {
        visit(from, 64 * words.len() as u32);
    }
}
