//! Looks at generated pages: every picture and every link within them must lead somewhere.
//!
//! `cargo run -p tests --bin check_pages -- FOLDER`. `docs/check-pages` makes the pages first.

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
            Ok(wrong) => {
                is_good &= wrong.is_empty();
                wrong.iter().for_each(|line| eprintln!("{line}"));
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

/// Checks all pages of a folder, and returns what is wrong.
fn check(folder: &Path) -> io::Result<Vec<String>> {
    let mut pages = BTreeMap::new();
    read_pages(folder, &mut pages)?;
    let mut wrong = Vec::new();
    let mut count = 0;
    for (path, page) in &pages {
        for target in &page.targets {
            count += 1;
            if let Err(reason) = resolve(path, target, &pages) {
                wrong.push(format!("{}: {target}: {reason}", path.display()));
            }
        }
    }
    if count == 0 {
        wrong.push(format!("{}: no links", folder.display()));
    }
    println!("{}: {} pages, {count} links", folder.display(), pages.len());
    Ok(wrong)
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
            // These are rustdoc's own, and lead to an index of crates that it does not make.
        } else if path.extension().is_some_and(|ending| ending == "html") {
            let text = fs::read_to_string(&path)?;
            pages.insert(path, parse(&text));
        }
    }
    Ok(())
}

/// The values of the attributes that matter. In generated pages a `"` outside of tags is escaped or
/// in a script, and a `<` within an attribute is escaped.
fn parse(text: &str) -> Page {
    let mut page = Page {
        targets: Vec::new(),
        anchors: BTreeSet::new(),
    };
    let scriptless = text.split("<script").enumerate().map(|(index, part)| {
        let end = part.find("</script>").filter(|_| index > 0).unwrap_or(0);
        &part[end..]
    });
    for tag in scriptless.flat_map(|part| part.split('<')) {
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

/// Looks for what a link of a page leads to.
fn resolve(path: &Path, target: &str, pages: &BTreeMap<PathBuf, Page>) -> Result<(), String> {
    if let Some(data) = target.strip_prefix("data:") {
        return match data.split_once(',') {
            Some((kind, data)) if kind.starts_with("image/") && !data.is_empty() => Ok(()),
            _ => Err("is no picture".to_owned()),
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
        normal(&folder.join(decode(file)))
    };
    if to.is_dir() {
        to = to.join("index.html");
    }
    if !to.is_file() {
        return Err(format!("there is no {}", to.display()));
    }
    // The anchors of source code are ranges of lines, made by a script.
    let is_source = to.components().any(|part| part.as_os_str() == "src");
    match pages.get(&to) {
        Some(page) if !anchor.is_empty() && !is_source => {
            // Rustdoc encodes its anchors, too.
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
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
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

    /// What is wrong on a page with this body, beside a page `other.html` and a picture.
    fn wrong(name: &str, body: &str) -> Vec<String> {
        let folder = env::temp_dir().join(format!("check_pages-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("can be made");
        fs::write(folder.join("page.html"), body).expect("can be written");
        fs::write(folder.join("other.html"), "<h1 id=\"你\" class=x>你</h1>").expect("is written");
        fs::write(folder.join("picture 1.svg"), "<svg/>").expect("can be written");
        let wrong = check(&folder).expect("can be read");
        fs::remove_dir_all(&folder).expect("can be removed");
        wrong
    }

    #[test]
    fn what_is_there_is_found() {
        let body = "<img alt=\"x\" src=\"picture%201.svg\"><a href=\"other.html#%E4%BD%A0\">\
            <a href=\"./other.html?a&amp;b\"><a href=\"#here\"><p id=\"here\"><a href=\"https://a.b/\">\
            <img src=\"data:image/svg+xml;base64,PA==\"><script>x='<a href=\"no.html\">'</script>";
        assert_eq!(wrong("good", body), [""; 0]);
    }

    #[test]
    fn what_is_not_there_is_named() {
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
            let wrong = wrong(&format!("bad-{number}"), &body);
            assert_eq!(wrong.len(), 1, "{target}: {wrong:?}");
            assert!(wrong[0].contains(target), "{wrong:?}");
        }
    }

    #[test]
    fn a_folder_without_links_is_wrong() {
        assert_eq!(wrong("empty", "<p>").len(), 1);
    }
}
