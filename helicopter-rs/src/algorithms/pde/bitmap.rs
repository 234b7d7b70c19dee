//! Sets of pixels as rows of bits: 64 pixels at a time, and equality means "same shape".

use ndarray::ArrayView2;

use super::stencil::Kind;

/// A rectangle of bits, rows padded to whole words; bits beyond the width are always zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bitmap {
    pub height: usize,
    pub width: usize,
    /// Words per row.
    pub words: usize,
    pub bits: Vec<u64>,
}

impl Bitmap {
    pub fn new(height: usize, width: usize) -> Self {
        let words = width.div_ceil(64).max(1);
        Bitmap { height, width, words, bits: vec![0; height * words] }
    }

    /// The mask as bits.
    pub fn from_mask(mask: ArrayView2<bool>) -> Self {
        let (height, width) = mask.dim();
        let mut bitmap = Bitmap::new(height, width);
        for (y, row) in mask.outer_iter().enumerate() {
            let words = &mut bitmap.bits[y * bitmap.words..(y + 1) * bitmap.words];
            match row.as_slice() {
                Some(row) => {
                    for (word, pixels) in words.iter_mut().zip(row.chunks(64)) {
                        *word = pack(pixels);
                    }
                }
                None => row
                    .iter()
                    .enumerate()
                    .for_each(|(x, &bit)| words[x / 64] |= u64::from(bit) << (x % 64)),
            }
        }
        bitmap
    }

    pub fn row(&self, y: usize) -> &[u64] {
        &self.bits[y * self.words..(y + 1) * self.words]
    }

    pub fn get(&self, y: usize, x: usize) -> bool {
        self.bits[y * self.words + x / 64] >> (x % 64) & 1 != 0
    }

    /// Sets `from..to` of one row.
    pub fn set_run(&mut self, y: usize, from: usize, to: usize) {
        let row = &mut self.bits[y * self.words..(y + 1) * self.words];
        for (word, bits) in row.iter_mut().enumerate().take(to.div_ceil(64)).skip(from / 64) {
            *bits |= ones_between(word, from, to);
        }
    }

    pub fn count(&self) -> usize {
        self.bits.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// 64 bits of a row beginning at a signed column; columns outside the rectangle read as zero.
    pub fn word_at(&self, y: usize, x: isize) -> u64 {
        let row = self.row(y);
        let (word, shift) = (x.div_euclid(64), x.rem_euclid(64) as u32);
        let read =
            |i: isize| usize::try_from(i).ok().and_then(|i| row.get(i)).copied().unwrap_or(0);
        let low = read(word) >> shift;
        if shift == 0 {
            low
        } else {
            low | read(word + 1) << (64 - shift)
        }
    }

    /// Copies the `height x width` window whose corner is at the signed position `(y, x)` into `out`.
    pub fn window_into(&self, y: isize, x: isize, height: usize, width: usize, out: &mut Bitmap) {
        out.height = height;
        out.width = width;
        out.words = width.div_ceil(64).max(1);
        out.bits.clear();
        let last = if width.is_multiple_of(64) { u64::MAX } else { (1 << (width % 64)) - 1 };
        for row in 0..height {
            let source = y + row as isize;
            if source < 0 || source >= self.height as isize {
                out.bits.extend(std::iter::repeat_n(0, out.words));
                continue;
            }
            for word in 0..out.words {
                let bits = self.word_at(source as usize, x + 64 * word as isize);
                out.bits.push(if word + 1 == out.words { bits & last } else { bits });
            }
        }
    }

    /// The smallest rectangle `(top, left, height, width)` around all bits, or `None` if there are none.
    pub fn extent(&self) -> Option<(usize, usize, usize, usize)> {
        let is_used = |y: &usize| self.row(*y).iter().any(|&word| word != 0);
        let top = (0..self.height).find(is_used)?;
        let bottom = (top..self.height).rev().find(is_used)?;
        let mut left = self.width;
        let mut right = 0;
        for y in top..=bottom {
            let row = self.row(y);
            if let Some(word) = row.iter().position(|&word| word != 0) {
                left = left.min(64 * word + row[word].trailing_zeros() as usize);
            }
            if let Some(word) = row.iter().rposition(|&word| word != 0) {
                right = right.max(64 * word + 63 - row[word].leading_zeros() as usize);
            }
        }
        Some((top, left, bottom + 1 - top, right + 1 - left))
    }

    /// Every pixel that some pixel of `self` couples with (`self` itself included).
    pub fn dilate_into(&self, kind: Kind, out: &mut Bitmap) {
        out.height = self.height;
        out.width = self.width;
        out.words = self.words;
        out.bits.clear();
        out.bits.resize(self.bits.len(), 0);
        let words = self.words;
        for y in 0..self.height {
            for word in 0..words {
                let centre = self.bits[y * words + word];
                let before = if word > 0 { self.bits[y * words + word - 1] } else { 0 };
                let after = if word + 1 < words { self.bits[y * words + word + 1] } else { 0 };
                if centre | before | after == 0 {
                    continue;
                }
                let aside = centre << 1 | before >> 63 | centre >> 1 | after << 63;
                let mut spread = |row: usize, bits: u64| out.bits[row * words + word] |= bits;
                match kind {
                    Kind::Harmonic => {
                        spread(y, centre | aside);
                        if y >= 1 {
                            spread(y - 1, centre);
                        }
                        if y + 1 < self.height {
                            spread(y + 1, centre);
                        }
                    }
                    Kind::Biharmonic => {
                        let far = centre << 2 | before >> 62 | centre >> 2 | after << 62;
                        spread(y, centre | aside | far);
                        if y >= 1 {
                            spread(y - 1, centre | aside);
                        }
                        if y >= 2 {
                            spread(y - 2, centre);
                        }
                        if y + 1 < self.height {
                            spread(y + 1, centre | aside);
                        }
                        if y + 2 < self.height {
                            spread(y + 2, centre);
                        }
                    }
                }
            }
        }
    }
}

/// Up to 64 pixels as bits, eight at a time: the multiplication gathers the eight low bits in the top byte.
fn pack(pixels: &[bool]) -> u64 {
    let eight = |pixels: &[bool]| {
        let bytes = pixels
            .iter()
            .enumerate()
            .fold(0_u64, |bytes, (i, &bit)| bytes | u64::from(bit) << (8 * i));
        bytes.wrapping_mul(0x0102_0408_1020_4080) >> 56
    };
    pixels.chunks(8).enumerate().fold(0, |word, (i, pixels)| word | eight(pixels) << (8 * i))
}

/// Calls `visit` with the index of every set bit, lowest first.
#[inline(always)]
pub(super) fn for_each_bit(mut bits: u64, mut visit: impl FnMut(usize)) {
    while bits != 0 {
        visit(bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
}

/// The bits of word number `word` of a row that lie in columns `from..to`.
pub(super) fn ones_between(word: usize, from: usize, to: usize) -> u64 {
    let start = 64 * word;
    let below = |column: usize| match column.saturating_sub(start) {
        n if n >= 64 => u64::MAX,
        n => (1 << n) - 1,
    };
    below(to) & !below(from)
}
