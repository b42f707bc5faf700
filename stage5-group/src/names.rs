//! The tutorial's ten names (§5.1.1). A member that does not choose a name gets one of them.

use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use rand::seq::IndexedRandom;

/// The names.
pub const NAMES: [&str; 10] = [
    "业冰蝶",
    "同静槐",
    "骑婷然",
    "牧建章",
    "锐理全",
    "达悠逸",
    "倪长逸",
    "侨玉书",
    "符天韵",
    "树修敏",
];

/// One of [`NAMES`], at random.
#[must_use]
pub fn pick() -> &'static str {
    NAMES
        .choose(&mut UnwrapErr(SysRng))
        .expect("there are names to choose from")
}
