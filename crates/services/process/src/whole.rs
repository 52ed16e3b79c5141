//! A whole project as one archive: documents, evidence, the baseline, keys, and the programs that check all of it.
//!
//! Whoever gets it needs nothing else: `sh verify.sh` says whether it is as it was made.

use std::collections::BTreeSet;
use std::path::Path;

use maru_api::{Digest, RequirementSpec, Spec as _};
use maru_evidence::PublicKey;
use maru_evidence::export::Files;

use crate::baseline::Content;
use crate::desk::Desk;
use crate::pack::{PackError, check_is_new, gather, write};

const SUMS: &str = "SHA256SUMS";
const SIGNATURE: &str = "SHA256SUMS.sig";
const SIGNER: &str = "SHA256SUMS.keyid";

const CHECK: &str = "\
# Checks that all files are as they were made: their sums, who signed these, and the chain of evidence.
set -eu
cd \"$(dirname \"$0\")\"
sha256sum --check --strict --quiet SHA256SUMS
if [ -f SHA256SUMS.sig ]; then
  openssl pkeyutl -verify -pubin -inkey \"evidence/keys/$(cat SHA256SUMS.keyid).pem\" -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig > /dev/null
  echo \"the sums are signed by key $(cat SHA256SUMS.keyid)\"
fi
cd evidence
sh verify.sh
";

const README: &str = "\
This is a whole project: its documents, and the evidence that their verdicts follow from. It is checked without Maru and
without a network, in this folder:

    sh verify.sh                              with openssl 3, jq and sha256sum
    python3 evidence/verify.py evidence       the evidence alone, with securesystemslib and cryptography

프로젝트 전체, 곧 산출물과 그 판정의 근거인 증거입니다. Maru와 네트워크 없이 이 폴더에서 위의 명령으로 검증할 수 있습니다.

documents/           the documents                                              산출물
evidence/            signed records, reports as tools wrote them, public keys   서명된 기록, 원본 결과, 공개 키
requirements.json    the requirements with their verdicts                       요구사항과 판정
baseline.json        what the baseline holds; a record of the evidence has its digest as its report    기준선의 내용
SHA256SUMS           the sums of all files; SHA256SUMS.sig is their signature   모든 파일의 해시와 그 서명

The keys came along, so they prove only that nothing was altered since. Who signed is proven by comparing the id of the key
with the one that you were told by other means. 키는 함께 전달되었으므로, 다른 방법으로 전달받은 식별자와 비교하십시오.
";

/// What an archive holds beside the evidence.
#[derive(Debug, Default)]
pub struct Parts {
    /// The documents, by the names of their files.
    pub documents: Files,
    /// The baseline that they are of, with its content's digest and its envelope's; none: of now.
    pub baseline: Option<(Content, Digest, Digest)>,
}

/// Writes a project into an archive (`.zip`, `.tar`) or a new folder; returns how many records there are. Of a baseline it
/// has the evidence up to it, and the same bytes at any time.
///
/// # Errors
/// When the place is in use, the API server or a disk fails.
pub async fn export_whole(desk: &Desk, parts: Parts, place: &Path) -> Result<u64, PackError> {
    check_is_new(place)?;
    let (evidence, records) = gather(desk, parts.baseline.as_ref().map(|(.., envelope)| *envelope))?;
    let mut files: Files =
        parts.documents.into_iter().map(|(name, content)| (format!("documents/{name}"), content)).collect();
    files.extend(evidence.into_iter().map(|(name, content)| (format!("evidence/{name}"), content)));
    let requirements = if let Some((content, digest, _)) = &parts.baseline {
        files.insert("baseline.json".to_owned(), desk.ledger().get(*digest)?);
        serde_json::to_vec_pretty(&content.objects.get(RequirementSpec::KIND))
    } else {
        serde_json::to_vec_pretty(&desk.requirements().await?)
    };
    files.insert("requirements.json".to_owned(), requirements.unwrap_or_default());
    files.insert("README.txt".to_owned(), README.as_bytes().to_vec());
    files.insert("verify.sh".to_owned(), CHECK.as_bytes().to_vec());
    let sums = sums(&files);
    // A copy of the evidence has no private key: then the sums are not signed, and the records in it still are.
    if let Some(signer) = desk.ledger().signer_if_any(desk.name())? {
        files.insert(SIGNATURE.to_owned(), signer.sign_bytes(sums.as_bytes()));
        files.insert(SIGNER.to_owned(), signer.public_key().id().into_bytes());
    }
    files.insert(SUMS.to_owned(), sums.into_bytes());
    write(&files, place)?;
    Ok(records)
}

/// The sums, as `sha256sum` writes them.
fn sums(files: &Files) -> String {
    let own = [SUMS, SIGNATURE, SIGNER];
    let named = files.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    named.map(|(name, content)| format!("{}  {name}\n", Digest::of(content).hex())).collect()
}

/// Returns what is wrong with the sums of a whole project and with their signature; `keys` are those that are believed.
pub(crate) fn check(files: &Files, keys: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    let Some(written) = files.get(SUMS) else { return vec![format!("{SUMS} is missing")] };
    let wanted = String::from_utf8_lossy(written);
    let found = sums(files);
    if wanted != found {
        let (wanted, found): (BTreeSet<&str>, BTreeSet<&str>) = (wanted.lines().collect(), found.lines().collect());
        let name = |line: &&str| line.split_once("  ").map_or(*line, |(_, name)| name).to_owned();
        let names: BTreeSet<String> = wanted.symmetric_difference(&found).map(name).collect();
        problems.extend(names.into_iter().map(|name| format!("{name} is not as {SUMS} says")));
    }
    if let Some(signature) = files.get(SIGNATURE) {
        let id = files.get(SIGNER).map(|id| String::from_utf8_lossy(id).trim().to_owned()).unwrap_or_default();
        let pem = files.get(&format!("evidence/keys/{id}.pem")).map(|pem| String::from_utf8_lossy(pem));
        let key = pem.and_then(|pem| PublicKey::from_pem(&pem).ok()).filter(|key| key.id() == id);
        match key {
            Some(key) if !key.has_signed(written, signature) => {
                problems.push(format!("{SIGNATURE} does not fit {SUMS}"));
            }
            Some(_) if !keys.contains(&id) => {
                problems.push(format!("{SUMS} is signed by key {id}, which is not trusted"))
            }
            Some(_) => {}
            None => problems.push(format!("the key {id} that signed {SUMS} is not in the archive")),
        }
    }
    problems
}
