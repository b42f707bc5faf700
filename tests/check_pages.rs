//! Checks generated pages: every picture and every link inside them must have a target.
//!
//! `cargo run -p tests --bin check_pages -- FOLDER`. `docs/check-pages` generates the pages first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

/// The targets and the anchors of a page.
struct Page {
    /// Values of `href`, and of `src`.
    targets: Vec<String>,
    anchors: BTreeSet<String>,
}

fn main() -> ExitCode {
    let folders: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    if folders.is_empty() {
        eprintln!("usage: check_pages FOLDER...");
        return ExitCode::from(2);
    }
    let mut is_good = true;
    for folder in folders {
        match check(&folder) {
            Ok(problems) => {
                is_good &= problems.is_empty();
                problems.iter().for_each(|line| eprintln!("{line}"));
            }
            Err(error) => {
                is_good = false;
                eprintln!("{}: {error}", folder.display());
            }
        }
    }
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Checks all pages of a folder, and returns the problems.
fn check(folder: &Path) -> io::Result<Vec<String>> {
    let mut pages = BTreeMap::new();
    read_pages(folder, &mut pages)?;
    let mut problems = Vec::new();
    let mut count = 0;
    for (path, page) in &pages {
        for target in &page.targets {
            count += 1;
            if let Err(reason) = resolve(path, target, &pages) {
                problems.push(format!("{}: {target}: {reason}", path.display()));
            }
        }
    }
    if count == 0 {
        problems.push(format!("{}: no links", folder.display()));
    }
    println!("{}: {} pages, {count} links", folder.display(), pages.len());
    Ok(problems)
}

fn read_pages(folder: &Path, pages: &mut BTreeMap<PathBuf, Page>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_pages(&path, pages)?;
        } else if ["help.html", "settings.html"]
            .iter()
            .any(|name| path.ends_with(name))
        {
            // These two pages are part of rustdoc. They link to an index of crates that rustdoc
            // does not generate.
        } else if path.extension().is_some_and(|ending| ending == "html") {
            let text = fs::read_to_string(&path)?;
            pages.insert(path, parse(&text));
        }
    }
    Ok(())
}

/// Collects the targets and the anchors of a page. In generated pages, a `"` outside tags is
/// escaped or in a script, and a `<` in an attribute is escaped.
fn parse(text: &str) -> Page {
    let mut page = Page {
        targets: Vec::new(),
        anchors: BTreeSet::new(),
    };
    let without_scripts = text.split("<script").enumerate().map(|(index, part)| {
        let end = part.find("</script>").filter(|_| index > 0).unwrap_or(0);
        &part[end..]
    });
    for tag in without_scripts.flat_map(|part| part.split('<')) {
        let tag = tag.split('>').next().unwrap_or_default();
        for (name, rest) in tag.match_indices('=').map(|(at, _)| tag.split_at(at)) {
            let name = name.rsplit(char::is_whitespace).next().unwrap_or_default();
            let Some(value) = rest
                .strip_prefix("=\"")
                .and_then(|rest| rest.split('"').next())
            else {
                continue;
            };
            match name {
                "href" | "src" => page.targets.push(value.replace("&amp;", "&")),
                "id" | "name" => {
                    page.anchors.insert(value.to_owned());
                }
                _ => {}
            }
        }
    }
    page
}

/// Looks for the target of a link on a page.
fn resolve(path: &Path, target: &str, pages: &BTreeMap<PathBuf, Page>) -> Result<(), String> {
    if let Some(data) = target.strip_prefix("data:") {
        return match data.split_once(',') {
            Some((kind, data)) if kind.starts_with("image/") && !data.is_empty() => Ok(()),
            _ => Err("is not a picture".to_owned()),
        };
    }
    if ["https:", "http:", "mailto:", "javascript:"]
        .iter()
        .any(|scheme| target.starts_with(scheme))
    {
        return Ok(());
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = file.split('?').next().unwrap_or_default();
    let mut to = if file.is_empty() {
        path.to_owned()
    } else {
        let folder = path.parent().unwrap_or(Path::new("."));
        normalize(&folder.join(decode(file)))
    };
    if to.is_dir() {
        to = to.join("index.html");
    }
    if !to.is_file() {
        return Err(format!("there is no {}", to.display()));
    }
    // On a page of source code, an anchor is a range of lines. A script handles it.
    let is_source = to.components().any(|part| part.as_os_str() == "src");
    match pages.get(&to) {
        Some(page) if !anchor.is_empty() && !is_source => {
            // Rustdoc also encodes the anchors themselves.
            if page.anchors.contains(anchor) || page.anchors.contains(&decode(anchor)) {
                Ok(())
            } else {
                Err(format!("{} has no #{anchor}", to.display()))
            }
        }
        _ => Ok(()),
    }
}

/// The path without `.` and `..`.
fn normalize(path: &Path) -> PathBuf {
    let mut normalized = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if normalized.file_name().is_some() => {
                normalized.pop();
            }
            part => normalized.push(part),
        }
    }
    normalized
}

/// `%E4%BD%A0` is `你`.
fn decode(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..2).map(|digits| u8::from_str_radix(digits, 16)) {
            Some(Ok(byte)) => {
                bytes.push(byte);
                bytes.extend(&part.as_bytes()[2..]);
            }
            _ => bytes.extend(format!("%{part}").as_bytes()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The problems of a page with this body. The same folder has a page `other.html` and a
    /// picture.
    fn problems(name: &str, body: &str) -> Vec<String> {
        let folder = env::temp_dir().join(format!("check_pages-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("can be made");
        fs::write(folder.join("page.html"), body).expect("can be written");
        fs::write(folder.join("other.html"), "<h1 id=\"你\" class=x>你</h1>").expect("is written");
        fs::write(folder.join("picture 1.svg"), "<svg/>").expect("can be written");
        let problems = check(&folder).expect("can be read");
        fs::remove_dir_all(&folder).expect("can be removed");
        problems
    }

    #[test]
    fn targets_that_exist_are_accepted() {
        let body = "<img alt=\"x\" src=\"picture%201.svg\"><a href=\"other.html#%E4%BD%A0\">\
            <a href=\"./other.html?a&amp;b\"><a href=\"#here\"><p id=\"here\"><a href=\"https://a.b/\">\
            <img src=\"data:image/svg+xml;base64,PA==\"><script>x='<a href=\"no.html\">'</script>";
        assert_eq!(problems("good", body), [""; 0]);
    }

    #[test]
    fn a_missing_target_is_reported() {
        for (number, target) in [
            "x.svg",
            "../x.html",
            "other.html#x",
            "#x",
            "data:text/plain,x",
        ]
        .iter()
        .enumerate()
        {
            let body = format!("<p>\n<img class=\"a\"\nsrc=\"{target}\" alt=\"\">");
            let problems = problems(&format!("bad-{number}"), &body);
            assert_eq!(problems.len(), 1, "{target}: {problems:?}");
            assert!(problems[0].contains(target), "{problems:?}");
        }
    }

    #[test]
    fn a_folder_without_links_is_reported() {
        assert_eq!(problems("empty", "<p>").len(), 1);
    }
}
