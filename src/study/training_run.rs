//! A training from its file to a folder: windows, epochs with a checkpoint after each, the test on windows that nothing has seen, the model, its
//! card, figures and page.

use super::RunError;
use super::store::{Draft, PROVENANCE};
use super::training_data::{Source, TrainingData};
use super::training_file::TrainingFile;
use crate::dcnn::{Augmentation, EpochRecord, Network, Prediction, Reliability, Trained, Trainer, reliability};
use crate::image::whole_file;
use crate::report::{self, Captioned, FigureRef, Page, Parity, Pixels, SplitMaps, SplitPoint, Table, Width};
use crate::windows::{LabelSource, Placement, WindowSet, WindowSpec};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The model in its folder.
pub const MODEL: &str = "model.safetensors";
/// Its card.
pub const CARD: &str = "model.json";

/// What a training came to.
#[derive(Debug, Clone)]
pub struct TrainingOutcome {
    /// Where the model stands.
    pub folder: PathBuf,
    /// Its card.
    pub card: ModelCard,
    /// Wall time, s.
    pub seconds: f64,
    /// Epochs that were taken from a checkpoint.
    pub resumed_epochs: usize,
}

/// Everything about a model but its weights: `model.json`, and in the header of the model itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// Name of the training.
    pub name: String,
    /// Program and version.
    pub program: String,
    /// Its commit.
    pub commit: String,
    /// The training file as it was understood.
    pub training: TrainingFile,
    /// How its windows were cut: with the side in px and the pixel size that came out.
    pub windows: WindowSpec,
    /// How training, validation and test were divided.
    pub split: String,
    /// What it learnt from.
    pub data: serde_json::Value,
    /// Where its labels come from.
    pub labels: LabelSource,
    /// Parameters of one network.
    pub parameters: usize,
    /// Epoch that was kept, for every network of the ensemble.
    pub best_epochs: Vec<usize>,
    /// Errors on the training, validation and test windows.
    pub errors: Errors,
    /// Every epoch.
    pub history: Vec<EpochRecord>,
}

/// Errors of a network on the windows it learnt from, was stopped by, and has not seen; `None` where none has a label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// Windows that trained.
    pub training: Option<Reliability>,
    /// Windows that decided when to stop, and how large σ is.
    pub validation: Option<Reliability>,
    /// Windows that nothing has seen.
    pub test: Option<Reliability>,
}

/// Trains as `file` says, whose paths count from `folder`, and publishes the model at `target`. A checkpoint beside it is taken up if it is of
/// the same training, unless `restart`. `progress` is told the epochs to come at most, then of every epoch.
///
/// # Errors
/// [`RunError`] if the data cannot be read or cut, the training fails, or the disk does.
pub fn run(
    file: &TrainingFile,
    folder: &Path,
    target: &Path,
    restart: bool,
    progress: &(dyn Fn(usize, Option<&EpochRecord>) + Sync),
) -> Result<TrainingOutcome, RunError> {
    let start = Instant::now();
    // Refused at once if something foreign stands there, not after hours.
    drop(Draft::begin(target)?);
    let data = TrainingData::read(file, folder)?;
    let architecture = file.network.architecture();
    let settings = file.training.settings();
    let noise = data.fresh_noise.as_ref().map(|n| n as &dyn Augmentation);
    let mut trainer = Trainer::new(&data.training, &data.validation, &architecture, &settings, file.seed, noise)?;
    let checkpoint = checkpoint_path(target);
    let mut resumed_epochs = 0;
    if !restart && let Ok(bytes) = std::fs::read(&checkpoint) {
        let before = trainer.epochs_left();
        trainer
            .resume(&bytes)
            .map_err(|e| RunError::TrainingData { reason: format!("{}: {e} (--restart does so)", checkpoint.display()) })?;
        resumed_epochs = before - trainer.epochs_left();
    }
    progress(trainer.epochs_left(), None);
    while let Some(record) = trainer.epoch()? {
        let bytes = trainer.checkpoint()?;
        whole_file(&checkpoint, |f| f.write_all(&bytes)).map_err(RunError::disk(&checkpoint))?;
        progress(trainer.epochs_left(), Some(&record));
    }
    let trained = trainer.finish()?;
    let card = card(file, &data, &trained)?;
    let folder = publish(&data, &trained, &card, target)?;
    match std::fs::remove_file(&checkpoint) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(RunError::Disk { path: checkpoint, source: e }),
        _ => {}
    }
    Ok(TrainingOutcome { folder, card, seconds: start.elapsed().as_secs_f64(), resumed_epochs })
}

/// Where the checkpoint of a training stands until its model is published.
#[must_use]
pub fn checkpoint_path(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".checkpoint.safetensors");
    target.with_file_name(name)
}

/// Reads a model and its card: from its folder, or from the file in it.
///
/// # Errors
/// [`RunError`] if it cannot be read or is none.
pub fn read_model(path: &Path) -> Result<(Network, ModelCard), RunError> {
    const MOST_BYTES: u64 = 1 << 34;
    let path = if path.is_dir() { path.join(MODEL) } else { path.to_owned() };
    let bad = |reason: String| RunError::TrainingData { reason: format!("{}: {reason}", path.display()) };
    let meta = std::fs::metadata(&path).map_err(RunError::disk(&path))?;
    if meta.len() > MOST_BYTES {
        return Err(bad("it is too large for a model".into()));
    }
    let bytes = std::fs::read(&path).map_err(RunError::disk(&path))?;
    let (network, card) = Network::from_bytes(&bytes).map_err(|e| bad(e.to_string()))?;
    let card = serde_json::from_value(card).map_err(|e| bad(format!("its card is damaged ({e})")))?;
    Ok((network, card))
}

fn predicted(network: &Network, set: &WindowSet) -> Result<(Vec<Prediction>, Option<Reliability>), RunError> {
    let predictions = network.predict(set)?;
    let reliability = reliability(&predictions, &set.labels);
    Ok((predictions, reliability))
}

fn card(file: &TrainingFile, data: &TrainingData, trained: &Trained) -> Result<ModelCard, RunError> {
    let of = |set: &WindowSet| predicted(&trained.network, set).map(|(_, r)| r);
    let network = &trained.network;
    Ok(ModelCard {
        name: file.name.clone(),
        program: format!("mistilt {}", env!("CARGO_PKG_VERSION")),
        commit: env!("MISTILT_COMMIT").to_owned(),
        training: file.clone(),
        windows: WindowSpec {
            size: crate::windows::WindowSize::Pixels(network.size_px()),
            pixel_size_pm: Some(network.pixel_size_pm()),
            normalisation: network.normalisation(),
            ..file.windows.spec()
        },
        split: if data.images.is_empty() {
            "by sample: the last tenth tests, the tenth before it validates".to_owned()
        } else {
            file.windows.split(file.seed).describe()
        },
        data: serde_json::to_value(&data.card).unwrap_or_default(),
        labels: data.card.first().map_or(LabelSource::None, |c| c.labels),
        parameters: network.architecture().parameter_count(network.size_px())?,
        best_epochs: trained.best_epochs.clone(),
        errors: Errors { training: of(&data.training)?, validation: of(&data.validation)?, test: of(&data.test)? },
        history: trained.history.clone(),
    })
}

fn publish(data: &TrainingData, trained: &Trained, card: &ModelCard, target: &Path) -> Result<PathBuf, RunError> {
    let draft = Draft::begin(target)?;
    let card_json = serde_json::to_value(card).unwrap_or_default();
    let model = trained.network.to_bytes(&card_json)?;
    let write = |name: &str, bytes: &[u8]| {
        let path = draft.path().join(name);
        whole_file(&path, |f| f.write_all(bytes)).map_err(RunError::disk(&path))
    };
    write(MODEL, &model)?;
    draft.json(CARD, &card_json)?;
    write("history.csv", history_csv(&card.history).as_bytes())?;
    let (predictions, test) = predicted(&trained.network, &data.test)?;
    write("test.csv", predictions_csv(&data.test, &predictions).as_bytes())?;
    let figures = figures(data, trained, card, &predictions, test.as_ref())?;
    let folder = draft.subfolder("figures")?;
    for captioned in &figures {
        captioned.figure.save(&folder, captioned.stem)?;
    }
    page(card, test.as_ref(), &figures)?.save(&draft.path().join("report.html"))?;
    let provenance = json!({
        "program": card.program, "commit": card.commit, "model_blake3": blake3::hash(&model).to_hex().to_string(), "training": card.training,
        "data": card.data,
    });
    draft.json(PROVENANCE, &provenance)?;
    draft.publish()
}

/// The epochs as a table.
fn history_csv(history: &[EpochRecord]) -> String {
    let mut out = "network,epoch,training_loss,validation_loss,validation_rmse_pm,learning_rate\n".to_owned();
    let text = |v: Option<f64>| v.map_or_else(String::new, |v| v.to_string());
    for r in history {
        let EpochRecord { member, epoch, training_loss, validation_loss, validation_rmse_pm, learning_rate } = *r;
        let (loss, rmse) = (text(validation_loss), text(validation_rmse_pm));
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{member},{epoch},{training_loss},{loss},{rmse},{learning_rate}");
    }
    out
}

/// Windows with their predictions as a table: place in px, displacements and standard deviations in pm; empty where unknown.
#[must_use]
pub fn predictions_csv(set: &WindowSet, predictions: &[Prediction]) -> String {
    let mut out = "image,cell_a,cell_b,x_px,y_px,px_pm,py_pm,aleatoric_sigma_x_pm,aleatoric_sigma_y_pm,epistemic_sigma_x_pm,\
                   epistemic_sigma_y_pm,label_px_pm,label_py_pm\n"
        .to_owned();
    let text = |v: f32| if v.is_finite() { v.to_string() } else { String::new() };
    for (i, p) in predictions.iter().enumerate() {
        let ([a, b], [x, y]) = (set.cells[i], set.positions_px[i]);
        let numbers = [p.mean_pm, p.aleatoric_sigma_pm, p.epistemic_sigma_pm, set.labels[i]];
        let numbers: Vec<String> = numbers.as_flattened().iter().map(|v| text(*v)).collect();
        let _ = writeln!(out, "{},{a},{b},{x},{y},{}", set.images[i], numbers.join(","));
    }
    out
}

fn figures(
    data: &TrainingData,
    trained: &Trained,
    card: &ModelCard,
    predictions: &[Prediction],
    test: Option<&Reliability>,
) -> Result<Vec<Captioned>, RunError> {
    let mut out = vec![Captioned {
        stem: "learning-curves",
        figure: report::network::learning_curves(&card.history)?,
        caption: "Loss of the training windows while they are learnt from, and of the validation windows after each epoch; the error of a component on \
                  the validation windows. The epoch with the smallest validation loss is kept."
            .to_owned(),
    }];
    if let Some(source) = data.images.first() {
        out.push(Captioned {
            stem: "maps",
            figure: maps(source, trained, card.windows.placement)?,
            caption: format!(
                "Labels ({}), predictions and their difference in the first image. The dashed line divides training from test ({}).",
                label_name(card.labels),
                card.split
            ),
        });
    }
    let Some(test) = test else { return Ok(out) };
    let pairs =
        |k: usize| data.test.labels.iter().zip(predictions).map(|(l, p)| (f64::from(l[k]), f64::from(p.mean_pm[k]))).collect::<Vec<_>>();
    let parity = Parity {
        title: "Predicted against labelled displacement of the test windows".into(),
        x_pm: pairs(0),
        y_pm: pairs(1),
        truth_label: format!("displacement, {}", label_name(card.labels)),
        measured_label: "predicted displacement".into(),
        width: Width::Double,
    };
    out.push(Captioned {
        stem: "parity",
        figure: parity.draw()?,
        caption: "Predicted against labelled displacement of every test window; the line is equality.".to_owned(),
    });
    if !test.coverage.is_empty() {
        out.push(Captioned {
            stem: "coverage",
            figure: report::network::coverage(&[("observed", test)])?,
            caption: "Part of the test labels within central intervals of the predicted Gaussians against the part that should be there. Below the dashed \
                      line the uncertainties are too small. Bars: one standard error."
                .to_owned(),
        });
    }
    if test.bins.len() > 1 {
        out.push(Captioned {
            stem: "error-against-sigma",
            figure: report::network::error_against_sigma(&[("rms error", test)])?,
            caption: "Root mean square error of test windows in bins of their predicted σ; on the dashed line they agree. Bars: one standard error."
                .to_owned(),
        });
    }
    Ok(out)
}

/// What figures call labels.
fn label_name(labels: LabelSource) -> &'static str {
    match labels {
        LabelSource::Truth => "truth",
        LabelSource::Fit => "column fit",
        LabelSource::Table => "table",
        LabelSource::None => "label",
    }
}

/// Labels, predictions and their difference over one image.
fn maps(source: &Source, trained: &Trained, placement: Placement) -> Result<crate::report::Figure, RunError> {
    let set = &source.cut.set;
    let predictions = trained.network.predict(set)?;
    let points: Vec<SplitPoint> = set
        .positions_px
        .iter()
        .zip(&set.labels)
        .zip(&predictions)
        .map(|((at, label), p)| SplitPoint { position_px: *at, truth_pm: label.map(f64::from), prediction_pm: p.mean_pm.map(f64::from) })
        .collect();
    let longest = |f: &dyn Fn(&SplitPoint) -> [f64; 2]| {
        let mut lengths: Vec<f64> = points.iter().map(f).map(|[x, y]| x.hypot(y)).filter(|l| l.is_finite()).collect();
        lengths.sort_unstable_by(f64::total_cmp);
        let high = lengths.get(lengths.len().saturating_sub(1) * 98 / 100).copied().unwrap_or(1.0);
        ((high / 5.0).ceil() * 5.0).max(5.0)
    };
    let step = match placement {
        Placement::Centred => source.lattice_a_px.unwrap_or(set.size_px as f64 / source.cut.scale[0]),
        Placement::Grid { step_px } => step_px as f64 / source.cut.scale[0],
    };
    // The line is told in pixels of the image as cut.
    let line_px = source.partition.line_px.map(|line| line.map(|p| [0, 1].map(|k| p[k] / source.cut.scale[k])));
    let mean = |indices: &[usize]| {
        let n = indices.len().max(1) as f64;
        [0, 1].map(|k| indices.iter().map(|&i| set.positions_px[i][k]).sum::<f64>() / n)
    };
    let (train, test) = (mean(&source.partition.train), mean(&source.partition.test));
    let maps = SplitMaps {
        title: "Labels, predictions and their difference".into(),
        pixels: Pixels {
            values: source.image.data.clone(),
            width: source.image.width,
            height: source.image.height,
            pixel_size_pm: source.image.pixel_size_pm.unwrap_or(1.0),
        },
        spacing_px: step,
        line_px,
        towards_training: [train[0] - test[0], train[1] - test[1]],
        legend_pm: longest(&|p| p.truth_pm),
        difference_legend_pm: longest(&|p| [0, 1].map(|k| p.prediction_pm[k] - p.truth_pm[k])),
        label_name: "label".into(),
        points,
    };
    Ok(maps.draw()?)
}

fn page(card: &ModelCard, test: Option<&Reliability>, figures: &[Captioned]) -> Result<Page, RunError> {
    let figures = figures.iter().map(|c| FigureRef::new(&c.figure, &c.caption)).collect::<Result<Vec<_>, _>>()?;
    Ok(Page {
        title: format!("Network {}", card.name),
        question: "How well does the network predict the polarization of windows that it has not seen, and does it know how well?".into(),
        answers: answers(card),
        settings: vec![
            ("parameters".into(), card.parameters.to_string()),
            ("windows".into(), format!("{:?}", card.windows)),
            ("split".into(), card.split.clone()),
            ("labels".into(), label_name(card.labels).into()),
            ("seed".into(), card.training.seed.to_string()),
        ],
        figures,
        tables: test.map(error_table).into_iter().collect(),
        python: "from safetensors.numpy import load_file\nweights = load_file(\"model.safetensors\")\n\nimport pandas as pd\ntest = \
                 pd.read_csv(\"test.csv\")"
            .into(),
        provenance: vec![("program".into(), card.program.clone()), ("commit".into(), card.commit.clone())],
        ..Page::default()
    })
}

/// What a training comes to, in sentences.
#[must_use]
pub fn answers(card: &ModelCard) -> Vec<String> {
    let Some(r) = &card.errors.test else { return vec!["No test window has a label.".to_owned()] };
    let against = match card.labels {
        LabelSource::Truth => "the simulated truth",
        LabelSource::Fit => "the column fit of the same image",
        LabelSource::Table | LabelSource::None => "the labels given",
    };
    let mut out = vec![format!(
        "On {} windows that it has not seen, the network differs from {against} by {:.2} pm (rms of a component); predicting their mean differs by \
         {:.2} pm.",
        r.windows, r.rmse_pm, r.rmse_of_mean_pm
    )];
    out.push(format!("The mean difference is ({:.2}, {:.2}) pm.", r.bias_pm[0], r.bias_pm[1]));
    if let (Some(sigma), Some(spread)) = (r.sigma_pm, r.spread) {
        out.push(format!(
            "It predicts a standard deviation of {sigma:.2} pm (rms); its errors are {spread:.2} times as large as their own σ (1 where the uncertainties are \
             true)."
        ));
    }
    out
}

fn error_table(r: &Reliability) -> Table {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    Table {
        caption: "Errors on the test windows.".into(),
        columns: vec!["quantity".into(), "value".into()],
        rows: vec![
            row("windows", r.windows.to_string()),
            row("rms error of a component (pm)", format!("{:.3}", r.rmse_pm)),
            row("rms error along x, y (pm)", format!("{:.3}, {:.3}", r.rmse_xy_pm[0], r.rmse_xy_pm[1])),
            row("mean error along x, y (pm)", format!("{:.3}, {:.3}", r.bias_pm[0], r.bias_pm[1])),
            row("rms error of the mean label (pm)", format!("{:.3}", r.rmse_of_mean_pm)),
            row("explained part of the labels' variance", format!("{:.3}", r.explained)),
        ],
    }
}
