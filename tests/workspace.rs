//! What belongs to no single chapter.
