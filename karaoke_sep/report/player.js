"use strict";
const SILENT_DB = -40, SEEK_S = 5;

// iOS ignores assignments to the volume of a media element; only `muted` works there.
const canSetVolume = (() => {
  try {
    const probe = new Audio();
    probe.volume = 0.5;
    return probe.volume === 0.5;
  } catch {
    return false;
  }
})();

const clock = s => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;

function pressed(button) { return button.getAttribute("aria-pressed") === "true"; }
function press(button, on) { button.setAttribute("aria-pressed", String(on)); }

// Plays the sounds of one track in step. All times are times of the song. A backing track of another tempo runs on its
// own clock: second t of its file is second t * tempo of the song.
class Player {
  constructor(article) {
    this.article = article;
    this.seconds = Number(article.dataset.seconds);
    this.sources = JSON.parse(article.dataset.sounds);  // [{name, src, tempo}]
    this.tempo = Object.fromEntries(this.sources.map(({name, tempo}) => [name, tempo]));
    this.strips = Object.fromEntries(
      [...article.querySelectorAll(".strip")].map(strip => [strip.dataset.stem, strip]));
    this.stems = Object.keys(this.strips);
    this.whole = "karaoke" in this.tempo && !this.stems.length ? "karaoke" : "mixture";
    this.sounds = null;  // created on the first play, because a page may hold hundreds of tracks
    this.gains = {};
    this.at = 0;
    this.playing = false;
    this.find = selector => article.querySelector(selector);
    this.listen();
    this.mix();
    this.show();
  }

  listen() {
    this.find(".play").addEventListener("click", () => this.toggle());
    this.find(".seek").addEventListener("input", event => this.seek(event.target.value * this.seconds));
    for (const button of this.article.querySelectorAll(".choice")) {
      button.addEventListener("click", () => this.choose(button.dataset.sound));
    }
    for (const strip of Object.values(this.strips)) {
      for (const button of strip.querySelectorAll("button")) {
        button.addEventListener("click", () => { press(button, !pressed(button)); this.remix(); });
      }
      strip.querySelector("input").addEventListener("input", () => this.remix());
    }
    for (const area of this.article.querySelectorAll(".over")) {
      area.addEventListener("click", event => this.seek(this.timeUnder(area, event)));
    }
  }

  timeUnder(area, event) {
    const box = area.getBoundingClientRect(), style = getComputedStyle(area);
    const left = Number(style.getPropertyValue("--left") || 0), right = Number(style.getPropertyValue("--right") || 1);
    return ((event.clientX - box.left) / box.width - left) / (right - left) * this.seconds;
  }

  load() {
    if (this.sounds) return;
    this.sounds = {};
    for (const {name, src} of this.sources) {
      const sound = new Audio();
      sound.preload = "auto";
      sound.preservesPitch = true;
      sound.addEventListener("error", () => this.lose(name));
      sound.addEventListener("ended", () => { if (name === this.lead) this.stop(); });
      sound.src = src;
      this.sounds[name] = sound;
    }
    this.mix();
  }

  // Without the file of the mixture, both stems together play the mixture.
  lose(name) {
    delete this.sounds[name];
    if (name !== "mixture" || !this.stems.length) {
      const label = this.find(`.choice[data-sound="${name}"]`).textContent;
      this.find(".wrong").textContent += ` ${label}: this browser cannot play the file, or it is gone.`;
      this.find(".wrong").hidden = false;
    }
    this.mix();
  }

  // Gain of each stem from its solo, mute and level controls.
  stemGains() {
    const solo = this.stems.some(stem => pressed(this.strips[stem].querySelector(".solo")));
    return Object.fromEntries(this.stems.map(stem => {
      const strip = this.strips[stem], level_db = canSetVolume ? Number(strip.querySelector("input").value) : 0;
      const off = pressed(strip.querySelector(".mute")) || (solo && !pressed(strip.querySelector(".solo")));
      return [stem, off || level_db <= SILENT_DB ? 0 : 10 ** (level_db / 20)];
    }));
  }

  remix() { this.whole = "mixture"; this.mix(); }

  mix() {
    const stems = this.stemGains(), levels = Object.values(stems);
    const isWhole = this.whole !== "mixture" || levels.every(gain => gain === 1);
    const available = this.sounds || this.tempo;
    this.gains = isWhole && this.whole in available ? {[this.whole]: 1} : stems;
    const playing = Object.keys(stems).filter(stem => stems[stem] > 0);
    const chosen = isWhole ? this.whole : playing.length === 1 ? playing[0] : "";
    for (const button of this.article.querySelectorAll(".choice")) press(button, button.dataset.sound === chosen);
    for (const strip of Object.values(this.strips)) {
      const level_db = Number(strip.querySelector("input").value);
      strip.querySelector("output").value = level_db <= SILENT_DB ? "off" : `${level_db} dB`.replace("-", "−");
    }
    for (const [name, sound] of Object.entries(this.sounds || {})) {
      const gain = this.gains[name] || 0;
      sound.muted = gain === 0;
      if (canSetVolume) sound.volume = gain;
    }
    this.show();
  }

  choose(name) {
    this.whole = this.stems.includes(name) ? "mixture" : name;
    for (const stem of this.stems) {
      press(this.strips[stem].querySelector(".solo"), name === stem);
      press(this.strips[stem].querySelector(".mute"), false);
      if (!this.stems.includes(name)) this.strips[stem].querySelector("input").value = 0;
    }
    this.mix();
  }

  // Name of the sound that keeps the time: the first audible one.
  get lead() {
    const names = Object.keys(this.sounds || this.tempo);
    return names.find(name => this.gains[name] > 0) || names[0];
  }

  toggle() { if (this.playing) this.pause(); else this.play(); }

  place(sound, name) { sound.currentTime = this.at / this.tempo[name]; }

  async play() {
    for (const other of players.values()) if (other !== this) other.pause();
    current = this.article;
    this.load();
    if (this.at >= this.seconds - 0.05) this.at = 0;
    this.playing = true;
    for (const [name, sound] of Object.entries(this.sounds)) this.place(sound, name);
    const started = await Promise.allSettled(Object.values(this.sounds).map(sound => sound.play()));
    if (!started.some(result => result.status === "fulfilled")) this.pause();
    this.show();
    this.follow();
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    for (const sound of Object.values(this.sounds)) sound.pause();
    this.show();
  }

  stop() {
    this.pause();
    this.at = this.seconds;
    this.show();
  }

  seek(time_s) {
    this.at = Math.min(Math.max(time_s, 0), this.seconds);
    current = this.article;
    for (const [name, sound] of Object.entries(this.sounds || {})) this.place(sound, name);
    this.show();
  }

  // The sounds drift apart by milliseconds. A slightly different speed closes a small gap, a jump closes a large one.
  follow() {
    if (!this.playing) return;
    const lead = this.lead, leading = this.sounds[lead];
    if (leading) {
      if (!leading.seeking) this.at = leading.currentTime * this.tempo[lead];
      leading.playbackRate = 1;
      for (const [name, sound] of Object.entries(this.sounds)) {
        if (sound === leading || sound.seeking || sound.ended) continue;
        const ahead_s = sound.currentTime * this.tempo[name] - this.at;
        const nudge = this.gains[name] ? 0.01 : 0.05;  // an audible change of speed stays small
        const trim = Math.abs(ahead_s) < 0.005 ? 1 : 1 - Math.sign(ahead_s) * nudge;
        sound.playbackRate = this.tempo[lead] / this.tempo[name] * trim;
        if (Math.abs(ahead_s) > 0.1) this.place(sound, name);
      }
    }
    this.show();
    requestAnimationFrame(() => this.follow());
  }

  show() {
    const share = this.seconds ? this.at / this.seconds : 0, tempo = this.tempo[this.lead] || 1;
    this.article.toggleAttribute("data-playing", this.playing);
    this.article.style.setProperty("--at", share);
    this.find(".play").textContent = this.playing ? "Pause" : "Play";
    this.find(".time").textContent = `${clock(this.at / tempo)} / ${clock(this.seconds / tempo)}`;
    const seek = this.find(".seek");
    seek.value = share;
    seek.setAttribute("aria-valuetext", clock(this.at / tempo));
    for (const scroll of this.playing ? this.article.querySelectorAll(".scroll") : []) {
      const head = scroll.querySelector(".head").offsetLeft, width = scroll.clientWidth;
      if (head < scroll.scrollLeft || head > scroll.scrollLeft + 0.9 * width) scroll.scrollLeft = head - 0.1 * width;
    }
  }
}
