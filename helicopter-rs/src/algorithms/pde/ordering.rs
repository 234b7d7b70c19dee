//! Nested dissection (George 1973) of pixel sets into a tree of fronts, equal subtrees stored once.
//!
//! A set is cut by a separator one (harmonic) or two (biharmonic) pixels thick, the parts are cut
//! again, and small sets become leaves. The front of a node eliminates its separator; its boundary is
//! every pixel outside the node's set that couples with the set. A front's matrix therefore depends
//! only on the shape of the set, the shape of that boundary and the distance to the image border (the
//! coefficients differ there). Masks made of blocks and big holes repeat the same few shapes over and
//! over, so the shapes are looked up in a table and the tree becomes a directed acyclic graph: a shape
//! is factorised once however often it occurs.

use super::bitmap::{for_each_bit, ones_between, Bitmap};
use super::kernels::Shape;
use super::stencil::{Kind, Operator};
use crate::host::Host;

/// Free rows and columns around a set's rectangle, so that its boundary fits in the same window.
pub(super) const MARGIN: usize = 2;

/// A pixel relative to the window's corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub dy: u16,
    pub dx: u16,
}

/// A node in use: which one, and where its window's corner lies relative to the user's window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub node: u32,
    pub dy: i32,
    pub dx: i32,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub shape: Shape,
    /// `spots[spots_from..][..pivots]` are eliminated here, the next `boundary` are the boundary.
    pub spots_from: usize,
    pub boundary: usize,
    pub children_from: usize,
    pub children: usize,
    /// Size of the window.
    pub height: usize,
    pub width: usize,
    /// Distance of the window's content from the top, left, bottom and right image border, if it matters.
    pub border: [u8; 4],
    /// How many nodes have this one as a child.
    pub users: u32,
    /// Place of the factor in the store.
    pub factor_from: usize,
}

/// What a factorisation would cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    /// Doubles of all factors.
    pub factor_len: usize,
    /// Doubles of the largest Schur complement together with those it is assembled from.
    pub front_len: usize,
    /// Multiplications.
    pub work: f64,
}

/// The fronts of any number of components, children always before their users.
#[derive(Default)]
pub(super) struct Graph {
    pub nodes: Vec<Node>,
    pub spots: Vec<Spot>,
    pub children: Vec<Placed>,
    pub cost: Cost,
    table: Table,
    spare: Vec<Bitmap>,
    pending: Vec<Placed>,
    key: Vec<u64>,
}

/// Shapes seen so far: open addressing, keys side by side in one vector.
#[derive(Default)]
struct Table {
    slots: Vec<u32>,
    entries: Vec<Entry>,
    keys: Vec<u64>,
}

struct Entry {
    hash: u64,
    key_from: usize,
    key_len: usize,
    node: u32,
}

impl Table {
    fn hash(key: &[u64]) -> u64 {
        let mixed = key.iter().fold(0x9e37_79b9_7f4a_7c15_u64, |hash, &word| {
            (hash.rotate_left(23) ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd)
        });
        mixed ^ mixed >> 32
    }

    fn find(&self, hash: u64, key: &[u64]) -> Option<u32> {
        let last = self.slots.len().checked_sub(1)?;
        let mut slot = hash as usize & last;
        while self.slots[slot] != 0 {
            let entry = &self.entries[self.slots[slot] as usize - 1];
            if entry.hash == hash
                && self.keys[entry.key_from..entry.key_from + entry.key_len] == *key
            {
                return Some(entry.node);
            }
            slot = (slot + 1) & last;
        }
        None
    }

    fn insert(&mut self, hash: u64, key: &[u64], node: u32) {
        self.entries.push(Entry { hash, key_from: self.keys.len(), key_len: key.len(), node });
        self.keys.extend_from_slice(key);
        if 2 * self.entries.len() > self.slots.len() {
            let size = (4 * self.entries.len()).next_power_of_two();
            self.slots.clear();
            self.slots.resize(size, 0);
            for number in 0..self.entries.len() {
                self.place(number);
            }
        } else {
            self.place(self.entries.len() - 1);
        }
    }

    fn place(&mut self, number: usize) {
        let last = self.slots.len() - 1;
        let mut slot = self.entries[number].hash as usize & last;
        while self.slots[slot] != 0 {
            slot = (slot + 1) & last;
        }
        self.slots[slot] = number as u32 + 1;
    }
}

/// One component while it is being cut up.
struct Cutter<'a> {
    operator: Operator,
    /// All its pixels, in a rectangle whose corner is image pixel `(top, left)`.
    pixels: &'a Bitmap,
    top: i32,
    left: i32,
    /// Give up beyond this cost.
    limit: Cost,
    /// Cost of what was there before.
    base: Cost,
    host: &'a dyn Host,
}

/// Nodes made between two looks at the cancel flag.
const NODES_PER_POLL: usize = 512;

/// Sets up to this size are not cut: a dense front is faster than many tiny ones.
const fn leaf_size(kind: Kind) -> usize {
    match kind {
        Kind::Harmonic => 32,
        Kind::Biharmonic => 44,
    }
}

impl Graph {
    /// Forgets everything but keeps the memory.
    pub fn clear(&mut self) {
        self.nodes.clear();
        self.spots.clear();
        self.children.clear();
        self.cost = Cost::default();
        self.table.slots.fill(0);
        self.table.entries.clear();
        self.table.keys.clear();
    }

    /// Adds a component and appends its topmost nodes to `roots`, placed relative to the component's
    /// rectangle. False if its cost would exceed `limit` or the
    /// caller has cancelled; then nothing may be added before `clear`, since
    /// the table still knows the shapes of the abandoned attempt.
    pub fn add(
        &mut self,
        operator: Operator,
        pixels: &Bitmap,
        (top, left): (i32, i32),
        limit: Cost,
        roots: &mut Vec<Placed>,
        host: &dyn Host,
    ) -> bool {
        let cutter = Cutter { operator, pixels, top, left, limit, base: self.cost, host };
        let before = (self.nodes.len(), self.spots.len(), self.children.len());
        let from = self.pending.len();
        let mut all = self.spare.pop().unwrap_or_default();
        let margin = MARGIN as isize;
        pixels.window_into(
            -margin,
            -margin,
            pixels.height + 2 * MARGIN,
            pixels.width + 2 * MARGIN,
            &mut all,
        );
        let done = self.cut(&cutter, &all, -(MARGIN as i32), -(MARGIN as i32));
        self.spare.push(all);
        if done {
            roots.extend(self.pending.drain(from..));
        } else {
            self.pending.truncate(from);
            self.nodes.truncate(before.0);
            self.spots.truncate(before.1);
            self.children.truncate(before.2);
            self.cost = cutter.base;
        }
        done
    }

    /// Cuts up `set`, a window with its corner at `(y, x)` of the component's rectangle, and appends the
    /// resulting topmost nodes to `pending`.
    fn cut(&mut self, cutter: &Cutter, set: &Bitmap, y: i32, x: i32) -> bool {
        let Some((top, left, height, width)) = set.extent() else { return true };
        let (y, x) = (y + top as i32 - MARGIN as i32, x + left as i32 - MARGIN as i32);
        let mut tight = self.spare.pop().unwrap_or_default();
        set.window_into(
            top as isize - MARGIN as isize,
            left as isize - MARGIN as isize,
            height + 2 * MARGIN,
            width + 2 * MARGIN,
            &mut tight,
        );
        let mut ring = self.spare.pop().unwrap_or_default();
        let mut around = self.spare.pop().unwrap_or_default();
        tight.dilate_into(cutter.operator.kind, &mut ring);
        cutter.pixels.window_into(y as isize, x as isize, tight.height, tight.width, &mut around);
        for ((ring, &around), &inside) in ring.bits.iter_mut().zip(&around.bits).zip(&tight.bits) {
            *ring &= around & !inside;
        }
        self.spare.push(around);
        let done = self.cut_tight(cutter, &tight, &ring, y, x);
        self.spare.push(tight);
        self.spare.push(ring);
        done
    }

    fn cut_tight(&mut self, cutter: &Cutter, set: &Bitmap, ring: &Bitmap, y: i32, x: i32) -> bool {
        let border = cutter.border(set, y, x);
        self.write_key(set, ring, border, cutter.operator.kind);
        let hash = Table::hash(&self.key);
        if let Some(node) = self.table.find(hash, &self.key) {
            self.pending.push(Placed { node, dy: y, dx: x });
            return true;
        }
        let kind = cutter.operator.kind;
        let from = self.pending.len();
        if set.count() <= leaf_size(kind) {
            self.push_node(set, ring, border, from, (y, x), hash);
            return self.affordable(cutter);
        }
        let mut separator = self.spare.pop().unwrap_or_default();
        let mut low = self.spare.pop().unwrap_or_default();
        let mut high = self.spare.pop().unwrap_or_default();
        let mut reached = self.spare.pop().unwrap_or_default();
        let across = set.width >= set.height;
        let at = MARGIN + cut_position(if across { set.width } else { set.height } - 2 * MARGIN);
        for part in [&mut separator, &mut low, &mut high] {
            part.clone_from(set);
        }
        for row in 0..set.height {
            for word in 0..set.words {
                let below = match (across, row < at) {
                    (true, _) => ones_between(word, 0, at),
                    (false, true) => u64::MAX,
                    (false, false) => 0,
                };
                high.bits[row * set.words + word] &= !below;
                low.bits[row * set.words + word] &= below;
            }
        }
        high.dilate_into(kind, &mut reached);
        let mut cut_pixels = 0;
        for ((sep, low), &reached) in
            separator.bits.iter_mut().zip(&mut low.bits).zip(&reached.bits)
        {
            *sep = *low & reached;
            *low &= !*sep;
            cut_pixels |= *sep;
        }
        self.spare.push(reached);
        let mut done = self.cut(cutter, &low, y, x) && self.cut(cutter, &high, y, x);
        if done && cut_pixels != 0 {
            // The parts have overwritten the key.
            self.write_key(set, ring, border, kind);
            self.push_node(&separator, ring, border, from, (y, x), hash);
            done = self.affordable(cutter);
        }
        self.spare.push(separator);
        self.spare.push(low);
        self.spare.push(high);
        done
    }

    /// Everything that the matrices of the fronts under a node depend on.
    fn write_key(&mut self, set: &Bitmap, ring: &Bitmap, border: [u8; 4], kind: Kind) {
        self.key.clear();
        self.key.push((set.height as u64) << 32 | set.width as u64);
        self.key.push(u64::from(u32::from_le_bytes(border)) << 8 | kind as u64);
        self.key.extend_from_slice(&set.bits);
        self.key.extend_from_slice(&ring.bits);
    }

    fn affordable(&self, cutter: &Cutter) -> bool {
        self.cost.factor_len - cutter.base.factor_len <= cutter.limit.factor_len
            && self.cost.front_len <= cutter.limit.front_len.max(cutter.base.front_len)
            && self.cost.work - cutter.base.work <= cutter.limit.work
            && !(self.nodes.len().is_multiple_of(NODES_PER_POLL) && cutter.host.cancelled())
    }

    /// Makes a node of the pending ones from `from` on, which become its children.
    fn push_node(
        &mut self,
        pivots: &Bitmap,
        ring: &Bitmap,
        border: [u8; 4],
        from: usize,
        (y, x): (i32, i32),
        hash: u64,
    ) {
        let node = self.nodes.len() as u32;
        let spots_from = self.spots.len();
        for set in [pivots, ring] {
            for dy in 0..set.height {
                for (word, &bits) in set.row(dy).iter().enumerate() {
                    for_each_bit(bits, |bit| {
                        self.spots.push(Spot { dy: dy as u16, dx: (64 * word + bit) as u16 });
                    });
                }
            }
        }
        let boundary = ring.count();
        let shape = Shape::new(self.spots.len() - spots_from - boundary, boundary);
        let children_from = self.children.len();
        for child in self.pending.drain(from..) {
            self.nodes[child.node as usize].users += 1;
            self.children.push(Placed { node: child.node, dy: child.dy - y, dx: child.dx - x });
        }
        self.nodes.push(Node {
            shape,
            spots_from,
            boundary,
            children_from,
            children: self.children.len() - children_from,
            height: pivots.height,
            width: pivots.width,
            border,
            users: 0,
            factor_from: self.cost.factor_len,
        });
        self.cost.factor_len += shape.factor_len();
        let parts: usize = self.children[children_from..]
            .iter()
            .map(|child| self.nodes[child.node as usize].shape.schur_len())
            .sum();
        self.cost.front_len = self.cost.front_len.max(shape.schur_len() + parts);
        self.cost.work += shape.work();
        self.table.insert(hash, &self.key, node);
        self.pending.push(Placed { node, dy: y, dx: x });
    }
}

impl Cutter<'_> {
    /// Distances from the set's rectangle to the four image borders, cut off where they cease to matter.
    fn border(&self, set: &Bitmap, y: i32, x: i32) -> [u8; 4] {
        let margin = MARGIN as i32;
        let (top, left) = (self.top + y + margin, self.left + x + margin);
        let bottom = self.operator.height - (top + set.height as i32 - 2 * margin);
        let right = self.operator.width - (left + set.width as i32 - 2 * margin);
        [top, left, bottom, right].map(|distance| distance.clamp(0, margin) as u8)
    }
}

/// Where to cut a length: at the roundest number (multiple of the highest power of two) not far from the
/// middle. The parts of equal blocks and of big holes are then equal too.
fn cut_position(length: usize) -> usize {
    let (from, to) = ((length * 3).div_ceil(10).max(1), (length * 7 / 10).max(1));
    let mut step = length.next_power_of_two();
    while step > 1 {
        // The multiple nearest to the middle.
        let at = (length / 2 + step / 2) / step * step;
        if at >= from && at <= to {
            return at;
        }
        step /= 2;
    }
    (length / 2).max(1)
}
