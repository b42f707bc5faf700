//! Tests of the chapter.
